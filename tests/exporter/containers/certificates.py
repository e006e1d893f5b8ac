"""Certificates for an engine that listens with --tlsverify, and for those who come to it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme

CLIENT = "sitemedic@acme.example"
YESTERDAY = datetime.now(UTC) - timedelta(days=1)


class Certificates:
    """The files of both sides, made by an authority of our own and by a foreign one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ours, self.foreign = trustme.CA(), trustme.CA()
        self.engine = self._leaf("engine", self.ours.issue_cert("127.0.0.1"))
        self.ca_file = self._authority("ca.pem", self.ours)

    def options(self, port: int) -> list[str]:
        """Return what makes an engine listen there for those alone whose certificate is ours."""
        return [
            *("-H", f"tcp://127.0.0.1:{port}", "--tlsverify", f"--tlscacert={self.ca_file}"),
            *(f"--tlscert={self.engine['cert_file']}", f"--tlskey={self.engine['key_file']}"),
        ]

    def clients(self) -> dict[str, dict[str, str]]:
        """Return the files of clients, good and bad ones, as they stand in `docker_api`."""
        good = self._leaf("good", self.ours.issue_cert(CLIENT)) | {"ca_file": self.ca_file}
        foreign = self._leaf("foreign", self.foreign.issue_cert(CLIENT))
        expired = self._leaf("expired", self.ours.issue_cert(CLIENT, not_after=YESTERDAY))
        return {
            "good": good,
            "foreign": good | foreign,
            "expired": good | expired,
            "mistaken": good | {"ca_file": self._authority("foreign-ca.pem", self.foreign)},
            "swapped": good | {"key_file": expired["key_file"]},
            "plain": {},
        }

    def _authority(self, name: str, authority: trustme.CA) -> str:
        authority.cert_pem.write_to_path(str(self.folder / name))
        return str(self.folder / name)

    def _leaf(self, name: str, leaf: trustme.LeafCert) -> dict[str, str]:
        files = {kind: str(self.folder / f"{name}.{kind}") for kind in ("cert_file", "key_file")}
        leaf.cert_chain_pems[0].write_to_path(files["cert_file"])
        leaf.private_key_pem.write_to_path(files["key_file"])
        return files
