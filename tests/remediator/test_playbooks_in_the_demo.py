"""Playbooks from a notification to the proof, on the demo's server: a real sshd, power, a container."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from core.secrets import Secret
from demo.linode_api import machine_power
from remediator.actions import ACTIONS
from remediator.on_server.port import PortState, place_of, try_port
from remediator.service import look
from tests.demo.parts import RunningMachine, running_machine
from tests.linode_fake import LINODE, FakeLinode, running_linode_api
from tests.ports import free_port
from tests.remediator.doubles import Lab, lab, slower
from tests.waiting import until

SITES = """
canaries: ["tcp://127.0.0.1:1"]
servers:
  web:
    ssh:
      {{host: {host}, port: {port}, user: {user}, key_file: {key_file}, known_hosts_file: {known_hosts_file}}}
    linode: {linode}
    may_boot: true
playbooks:
  gentle:
    does_not_answer: [{{action: restart_container, wait: 1s}}]
remediation: {{cooldown: 0, storm_cooldown: 0, prove_within: 60}}
sites:
  - {{name: www, url: "http://127.0.0.1:{site}/", recover: {{server: web, container: {name}{more}}}}}
  - {{name: shop, url: "http://127.0.0.1:1/"}}
  - {{name: blog, url: "http://127.0.0.1:1/"}}
"""


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningMachine]:
    with running_machine(tmp_path_factory.mktemp("machine")) as machine:
        yield machine


@pytest.fixture
def fake(machine: RunningMachine) -> Iterator[FakeLinode]:
    token = Secret((machine.folder / "control.token").read_text().strip())
    with running_linode_api(machine_power(machine.control, token)) as fake:
        yield fake


@contextmanager
def at_work(folder: Path, machine: RunningMachine, fake: FakeLinode, more: str = "") -> Iterator[Lab]:
    """Run a remediator with the real actions and looks on the machine; the exporter probes its site."""
    state: Any = machine.state()
    sites = SITES.format(
        **state["ssh"], linode=LINODE, site=machine.site_port, name=state["container"]["name"], more=more
    )
    timing = slower(settle_within=60.0, lease_ttl=30.0)
    with lab(folder, sites, timing, actions=ACTIONS, look=look, linode=fake.client()) as found:
        usual = found.exporter.answer

        def answer(path: str, query: dict[str, list[str]]) -> tuple[int, dict[str, Any]]:
            status, said = usual(path, query)
            where = {"instance": f"http://127.0.0.1:{machine.site_port}/"} if path == "/probe" else {}
            return status, said | where

        found.exporter.answer = answer  # type: ignore[method-assign]
        found.exporter.healed = lambda site: site == "www" and answers(machine)
        yield found


def answers(machine: RunningMachine) -> bool:
    try:
        return machine.site(timeout=2).ok
    except requests.RequestException:
        return False


@pytest.mark.needs("sshd")
def test_a_server_that_was_switched_off_is_booted_once_and_its_container_started(
    tmp_path: Path, machine: RunningMachine, fake: FakeLinode
) -> None:
    with at_work(tmp_path, machine, fake) as found:
        assert machine.order("/power", {"action": "shutdown"}).ok
        fake.account.set_status(LINODE, "offline")
        found.exporter.failing["www"] = "refused"
        found.post("www")
        ended = found.wait("www", "recovered", 90)
    assert ended["outcome"] == "healed"
    assert [one["step"] for one in ended["attempts"]] == ["boot_linode"]
    assert (fake.faults.posts, fake.faults.accepted) == (1, 1)
    claimed = next(one["text"] for one in ended["timeline"] if one["kind"] == "claimed")
    assert claimed.endswith(
        f"port {machine.site_port} refuses connections; no SSH; its Linode is switched off: boot the Linode"
    )
    kept = ended["attempts"][0]["evidence"]
    assert (kept["linode"]["status"], kept["port"]["state"], kept["probe"]["reason"]) == (
        "offline", "refused", "refused",
    )  # fmt: skip
    assert answers(machine)


@pytest.mark.needs("sshd")
def test_a_playbook_of_ones_own_heals_a_container_that_died_and_says_why(
    tmp_path: Path, machine: RunningMachine, fake: FakeLinode
) -> None:
    until(lambda: answers(machine), 30, "the machine to be well")
    with at_work(tmp_path, machine, fake, ", playbook: gentle") as found:
        assert machine.order("/break", {"kind": "die"}).ok
        until(lambda: not answers(machine), 20, "its death")
        found.exporter.failing["www"] = "refused"
        found.post("www")
        ended = found.wait("www", "recovered", 60)
    assert (ended["outcome"], [one["step"] for one in ended["attempts"]]) == ("healed", ["restart_container"])
    claimed = next(one["text"] for one in ended["timeline"] if one["kind"] == "claimed")
    assert "SSH works; container demo-shop exited with code " in claimed
    assert claimed.endswith(": restart the container")
    kept = ended["attempts"][0]["evidence"]
    assert (kept["container"]["status"], kept["port"]["state"]) == ("exited", "refused")
    assert fake.faults.posts == 0


def test_a_port_is_open_refused_or_not_to_be_tried() -> None:
    port = free_port()
    assert try_port("127.0.0.1", port) is PortState.REFUSED
    assert try_port("no-such-host.invalid", 80) is PortState.UNKNOWN
    with running_linode_api() as fake:
        place = place_of(fake.url)
        assert place is not None
        assert try_port(*place) is PortState.OPEN


@pytest.mark.parametrize(
    ("instance", "place"),
    [
        ("https://acme.example/health", ("acme.example", 443)),
        ("http://[2001:db8::1]:8080/", ("2001:db8::1", 8080)),
        ("tcp://10.0.0.21:6379", ("10.0.0.21", 6379)),
        ("acme.example", ("acme.example", 80)),
        ("tcp://10.0.0.21", None),
        ("http://[", None),
        ("http://a:99999/", None),
        ("", None),
    ],
)
def test_the_place_of_a_site_is_read_from_where_it_is_probed(
    instance: str, place: tuple[str, int] | None
) -> None:
    assert place_of(instance) == place
