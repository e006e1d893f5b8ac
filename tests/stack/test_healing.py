"""What `up` says at its start of servers that could not be healed."""

from pathlib import Path

from core.sites import load
from stack import healing
from stack.parts import PARTS


def test_a_missing_key_is_told_once_and_the_server_is_not_tried(tmp_path: Path) -> None:
    (tmp_path / "sites.yml").write_text(
        """
servers:
  web.1: {ssh: {host: 127.0.0.1, port: 1, key_file: keys/medic, known_hosts_file: known_hosts}}
  other: {ssh: {host: 127.0.0.1, port: 2, key_file: key, known_hosts_file: key}}
sites:
  - {name: shop, url: "http://127.0.0.1:1/", recover: {server: web.1, container: nginx}}
  - {name: blog, url: "http://127.0.0.1:1/", recover: {server: other, container: nginx}}
"""
    )
    (tmp_path / "known_hosts").touch()
    (tmp_path / "key").touch(mode=0o600)
    told = healing.faults(load(tmp_path / "sites.yml", PARTS), {})
    assert [line.partition(": cannot read")[0] for line in told if "web.1" in line] == [
        "web.1: servers.web.1.ssh.key_file"
    ]
    assert len([line for line in told if line.startswith("other: ")]) == 1, told
