"""A network for pings: a silent machine, routers that forbid, and a process without rights."""

import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
RANGE = "net.ipv4.ping_group_range"
NETWORK = (
    f"sysctl -qw {RANGE}='0 0'; unshare -n sleep 5 >/dev/null 2>&1 & OTHER=$!; "
    "until [ $(readlink /proc/$OTHER/ns/net) != $(readlink /proc/self/ns/net) ]; do sleep 0.01; done; "
    "ip link add v0 type veth peer name v1 netns $OTHER; ip addr add 10.9.0.1/24 dev v0; ip link set v0 up; "
    "ip route add default via 10.9.0.2; ip neigh add 10.9.0.77 lladdr 02:00:00:00:00:01 dev v0; "
    "nsenter -n -t $OTHER sh -c 'ip addr add 10.9.0.2/24 dev v1; ip link set v1 up; ip link set lo up; "
    "sysctl -qw net.ipv4.ip_forward=1; ip route add prohibit 198.51.100.0/24; "
    "ip route add unreachable 203.0.113.0/24; ip route add 10.8.0.0/24 via 10.9.0.1'"
)


def may_ping() -> bool:
    for kind in (socket.SOCK_DGRAM, socket.SOCK_RAW):
        try:
            socket.socket(socket.AF_INET, kind, socket.IPPROTO_ICMP).close()
        except PermissionError:
            continue
        return True
    return False


needs_pings = pytest.mark.skipif(not may_ping(), reason="pings are not allowed here")


def elsewhere(pings: list[tuple[str, dict[str, Any]]], *steps: str) -> list[list[Any]]:
    """Ping from a network of its own that `steps` have made, by a process without any right."""
    if subprocess.run(["unshare", "-rn", "true"], capture_output=True, check=False).returncode:
        pytest.skip("no network of one's own may be made here")
    ping = (
        f"exec setpriv --bounding-set=-all {sys.executable} -m tests.exporter.pinging '{json.dumps(pings)}'"
    )
    command = ["unshare", "-rn", "sh", "-c", "; ".join(["set -e", "ip link set lo up", *steps, ping])]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True, timeout=30)
    found: list[list[Any]] = json.loads(done.stdout)
    return found
