"""A real name server (nsd) for tests, with a zone."""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import trustme

from tests.ports import free_port
from tests.waiting import until

SERIAL = 2026112101
KEY = "mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ=="
DIGEST = "e8b54e0b4baa815b06d3462d65fbc7c0cf556eccf9f5303ebfbb77d022f834c0"
ZONE = f"""$ORIGIN shop.test.
$TTL 300
@ IN SOA ns hostmaster ({SERIAL} 7200 900 1209600 300)
@ IN NS ns
@ IN MX 10 mail
@ IN MX 20 mail2
@ IN TXT "v=spf1 -all" "second \\"quoted\\" part"
@ IN CAA 0 issue "letsencrypt.org"
@ IN DNSKEY 257 3 13 {KEY}
@ IN TLSA 3 1 1 {DIGEST}
@ IN DS 2371 13 2 1f987cc6583e92df0890718c42a0b1e5c4ff12f9c0f4bd2f0d4b7a9ebc4f3ecd
ns IN A 127.0.0.1
mail IN A 192.0.2.1
mail IN AAAA 2001:db8::1
mail2 60 IN A 192.0.2.2
www IN CNAME mail
many IN A 192.0.2.3
many IN A 192.0.2.4
many IN A 192.0.2.5
_sip._tcp IN SRV 1 2 5060 mail
odd IN TYPE65280 \\# 4 0a000001
svc IN HTTPS 1 . alpn=h2
"""


@contextmanager
def nsd(folder: Path, authority: trustme.CA) -> Iterator[tuple[int, int]]:
    """Run nsd with the zone shop.test; give its port (UDP and TCP) and that for DNS over TLS."""
    port, secure = free_port(), free_port()
    certificate = authority.issue_cert("127.0.0.1", "localhost")
    certificate.private_key_pem.write_to_path(str(folder / "nsd.key"))
    for pem in certificate.cert_chain_pems:
        pem.write_to_path(str(folder / "nsd.pem"), append=True)
    (folder / "shop.test.zone").write_text(ZONE)
    (folder / "nsd.conf").write_text(
        f"""server:
  ip-address: 127.0.0.1@{port}
  ip-address: 127.0.0.1@{secure}
  ip-address: ::1@{port}
  tls-port: {secure}
  tls-service-key: {folder}/nsd.key
  tls-service-pem: {folder}/nsd.pem
  username: ""
  zonesdir: {folder}
  zonelistfile: {folder}/zone.list
  xfrdfile: {folder}/xfrd.state
  xfrdir: {folder}
  pidfile: {folder}/nsd.pid
  logfile: {folder}/nsd.log
  refuse-any: no
remote-control:
  control-enable: no
zone:
  name: shop.test
  zonefile: shop.test.zone
"""
    )
    process = subprocess.Popen(["nsd", "-d", "-c", str(folder / "nsd.conf")])
    try:
        until(lambda: _listens(port) and _listens(secure), 10, "nsd")
        yield port, secure
    finally:
        process.terminate()
        process.wait(10)


def _listens(port: int) -> bool:
    with socket.socket() as probing:
        return probing.connect_ex(("127.0.0.1", port)) == 0
