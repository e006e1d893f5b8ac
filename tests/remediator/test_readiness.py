"""What is around healing, the rounds that look at everything, and what they publish."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from core.servers import connect
from core.servers.schema import PART as SERVERS
from core.servers.server import ActionError, Connector, Reason, Server, SshSettings
from core.sites import Document, load
from exporter.schema import PART as EXPORTER
from remediator.clients.alertmanager import AlertmanagerClient
from remediator.clients.exporter import ExporterClient
from remediator.configuration.schema import PART
from remediator.metrics import Metrics
from remediator.model.action import LinodeClient, Target, World
from remediator.readiness import Rounds, Surroundings, examine, plan_of
from remediator.readiness.check import Check
from remediator.readiness.plan import Plan, ServerPlan
from remediator.readiness.surroundings import look_around, look_at_linode, look_at_token
from remediator.timing import Timing
from tests.linode_fake import LINODE, FakeLinode, running_linode_api
from tests.ports import free_port
from tests.remediator.doubles import API, QUICK, Alertmanager, Exporter, lab, served
from tests.waiting import until

SITES = """
servers:
  web-1: {ssh: {host: 198.51.100.1, user: medic, key_file: key, known_hosts_file: known_hosts}}
  db-1: {ssh: {host: 198.51.100.2, user: medic, key_file: key, known_hosts_file: known_hosts}}
  idle: {ssh: {host: 198.51.100.3, user: medic, key_file: key, known_hosts_file: known_hosts}}
playbooks:
  search: {answers_wrongly: [{action: run_hook, hook: reindex}]}
sites:
  - {name: www, url: "http://127.0.0.1:1/", recover: {server: web-1, container: nginx}}
  - {name: api, url: "http://127.0.0.1:1/", recover: {server: web-1, container: nginx, playbook: search}}
  - {name: db, url: "http://127.0.0.1:1/", recover: {server: db-1, compose: db/postgres}}
"""


@pytest.fixture
def document(tmp_path: Path) -> Document:
    (tmp_path / "known_hosts").touch()
    (tmp_path / "key").touch(mode=0o600)
    return written(tmp_path, SITES)


def written(folder: Path, text: str) -> Document:
    (folder / "sites.yml").write_text(text)
    return load(folder / "sites.yml", (EXPORTER, SERVERS, PART))


def test_the_plan_has_each_container_once_and_the_hooks_of_its_playbooks(document: Document) -> None:
    plan = plan_of(document)
    assert [target.label for target in plan.servers["web-1"].targets] == ["nginx"]
    assert plan.servers["web-1"].hooks == ("reindex",)
    assert [target.label for target in plan.servers["db-1"].targets] == ["db/postgres"]
    assert not plan.servers["idle"].concerned
    assert plan.sites == {"www", "api", "db"}


POWER = Server("web-1", SshSettings("web-1.example"), linode=LINODE, may_reboot=True)


def plan_with(server: Server, *sites: str) -> Plan:
    target = Target("www", server, container="nginx")
    return Plan({server.name: ServerPlan(server, (target,))}, frozenset(sites))


AT_ONCE = Timing(readiness_begins=0)


class Around:
    """An exporter and an Alertmanager in small, and whom to ask."""

    def __init__(self, exporter_url: str, alertmanager_url: str) -> None:
        self.exporter = Exporter(("www",))
        self.alertmanager = Alertmanager()
        self.urls = [exporter_url, alertmanager_url]

    def look(self, plan: Plan, linode: LinodeClient | None = None) -> dict[str, Check]:
        around = Surroundings(ExporterClient(self.urls[0]), AlertmanagerClient(self.urls[1]), linode)
        found = [*look_around(plan, around), *look_at_token(plan, linode)]
        assert len({one.check for one in found}) == len(found)
        return {one.check: one for one in found}


@pytest.fixture
def around() -> Iterator[Around]:
    found = Around("", "")
    with (
        served(lambda path, query, _: found.exporter.answer(path, query)) as exporter,
        served(lambda path, _, body: found.alertmanager.answer(path, body)) as alertmanager,
    ):
        found.urls = [exporter, alertmanager]
        yield found


@pytest.fixture(scope="module")
def linode() -> Iterator[FakeLinode]:
    with running_linode_api() as fake:
        yield fake


def test_all_is_well_where_everybody_answers(around: Around, linode: FakeLinode) -> None:
    found = around.look(plan_with(POWER, "www"), linode.client())
    assert {name: one.ok for name, one in found.items()} == {
        "exporter": True, "canaries": True, "alertmanager": True, "linode_token": True,
    }  # fmt: skip
    assert "events:read_only linodes:read_write" in found["linode_token"].detail


@pytest.mark.parametrize(
    ("token", "words"),
    [
        ("nonsense", "does not accept the token (401)"),
        ("no-events", "events:read_only is missing"),
        ("reads-only", "may not reboot: it has events:read_only linodes:read_only"),
    ],
)
def test_a_token_that_would_fail_is_told_with_the_scopes_it_needs(
    around: Around, linode: FakeLinode, token: str, words: str
) -> None:
    check = around.look(plan_with(POWER, "www"), linode.client(token))["linode_token"]
    assert check.ok is False
    assert words in check.detail
    assert "Linodes: read/write and Events: read only" in check.mend
    assert token not in check.detail + check.mend


def test_a_token_that_only_reads_is_enough_where_nothing_is_rebooted(
    around: Around, linode: FakeLinode
) -> None:
    plan = plan_with(replace(POWER, may_reboot=False), "www")
    assert around.look(plan, linode.client("reads-only"))["linode_token"].ok is True


def test_a_missing_token_is_a_fault_where_reboots_are_allowed(around: Around) -> None:
    assert around.look(plan_with(POWER, "www"))["linode_token"].ok is False
    assert around.look(plan_with(replace(POWER, may_reboot=False), "www"))["linode_token"].ok is None
    assert "linode_token" not in around.look(plan_with(Server("x", SshSettings("x")), "www"))


def test_an_api_that_is_away_is_not_taken_for_a_bad_token(around: Around, linode: FakeLinode) -> None:
    gone = replace(linode, url=f"http://127.0.0.1:{free_port()}/v4").client()
    check = around.look(plan_with(POWER, "www"), gone)["linode_token"]
    assert (check.ok, "does not answer" in check.detail) == (False, True)
    assert "make one" not in check.mend


def test_a_linode_that_the_api_does_not_know_is_told(linode: FakeLinode) -> None:
    server = replace(POWER, linode=999)
    (check,) = look_at_linode(ServerPlan(server), linode.client())
    assert check.ok is False
    assert "knows no Linode 999" in check.detail
    assert "servers.web-1.linode" in check.mend
    assert [one.ok for one in look_at_linode(ServerPlan(POWER), linode.client())] == [True]


def test_a_linode_with_other_addresses_than_the_servers_is_worth_a_word(linode: FakeLinode) -> None:
    server = replace(POWER, ssh=SshSettings("203.0.113.99"))
    (check,) = look_at_linode(ServerPlan(server), linode.client())
    assert check.ok is None
    assert "ssh: names 203.0.113.99" in check.detail


def test_canaries_are_needed_where_reboots_are_allowed(around: Around, linode: FakeLinode) -> None:
    around.exporter.canaries = []
    plan, watching = plan_with(POWER, "www"), plan_with(replace(POWER, may_reboot=False), "www")
    check = around.look(plan)["canaries"]
    assert (check.ok, "under canaries:" in check.mend) == (False, True)
    assert around.look(watching)["canaries"].ok is None
    assert "Linode API" in around.look(plan, linode.client())["canaries"].detail


def test_canaries_that_do_not_answer_are_told(around: Around) -> None:
    plan = plan_with(POWER, "www")
    around.exporter.canaries = [True, False]
    assert around.look(plan)["canaries"].ok is None
    around.exporter.canaries = [False, False]
    assert around.look(plan)["canaries"].ok is False


def test_an_exporter_that_is_gone_or_knows_other_sites_is_told(around: Around) -> None:
    check = around.look(plan_with(POWER, "www", "new"))["exporter"]
    assert (check.ok, "does not know new" in check.detail) == (False, True)
    around.exporter.gone = True
    found = around.look(plan_with(POWER, "www"))
    assert (found["exporter"].ok, found["canaries"].ok) == (False, None)


def test_an_alertmanager_that_is_gone_is_told(around: Around) -> None:
    around.alertmanager.gone = True
    assert around.look(plan_with(POWER, "www"))["alertmanager"].ok is False


class Rounded:
    """Rounds on a clock that is set, with servers that answer as they are told."""

    def __init__(self, document: Document, around: Around, timing: Timing = AT_ONCE) -> None:
        self.now, self.busy = 1000.0, set[str]()
        self.shut: dict[str, ActionError] = {}
        self.entered: list[str] = []
        self.metrics = Metrics({})
        surroundings = Surroundings(ExporterClient(around.urls[0]), AlertmanagerClient(around.urls[1]), None)
        world = World(self.connect, None, lambda: self.now)
        self.rounds = Rounds(
            surroundings, lambda: world, lambda: self.busy, self.metrics, timing, lambda: self.now
        )
        self.rounds.take(document)

    def connect(self, server: Server) -> Connector:
        self.entered.append(server.name)
        raise self.shut.get(server.name) or ActionError("closed", reason=Reason.UNREACHABLE)

    def ready(self, server: str) -> float | None:
        return self.metrics.registry.get_sample_value("sitemedic_server_ready", {"server": server})

    def failures(self, check: str) -> float | None:
        return self.metrics.registry.get_sample_value("sitemedic_readiness_failures", {"check": check})


@pytest.fixture
def rounded(document: Document, around: Around, monkeypatch: pytest.MonkeyPatch) -> Rounded:
    return Rounded(document, around)


def test_each_server_is_looked_at_and_again_soon_where_something_is_wrong(rounded: Rounded) -> None:
    assert (rounded.ready("web-1"), rounded.failures("ssh")) == (1, 0)
    assert rounded.rounds.report().checked_at is None
    rounded.rounds.look()
    assert sorted(rounded.entered) == ["db-1", "web-1"]
    assert (rounded.ready("web-1"), rounded.ready("db-1"), rounded.ready("idle")) == (0, 0, 1)
    assert rounded.failures("ssh") == 2
    assert rounded.rounds.report().checked_at == 1000
    assert rounded.rounds.look() > 50
    assert len(rounded.entered) == 2
    rounded.now += 61
    rounded.rounds.look()
    assert len(rounded.entered) == 4


def test_the_first_look_leaves_the_others_time_to_start(document: Document, around: Around) -> None:
    rounded = Rounded(document, around, Timing())
    assert 10 < rounded.rounds.look() <= 15
    assert rounded.rounds.report().checked_at is None
    rounded.now += 15
    rounded.rounds.look()
    assert rounded.rounds.report().checked_at == 1015


def test_what_is_fine_is_looked_at_every_ten_minutes_each_at_its_own_time(rounded: Rounded) -> None:
    rounded.rounds.look()
    rounded.now += 61
    rounded.rounds.look()
    due = {name: unit.due for name, unit in rounded.rounds._units.items()}
    assert 500 < due["idle"] - 1000 < 700
    assert due["web-1"] == rounded.now + 60


def test_a_server_that_is_being_worked_on_is_left_alone(rounded: Rounded) -> None:
    rounded.busy = {"web-1"}
    rounded.rounds.look()
    assert rounded.entered == ["db-1"]
    assert rounded.ready("web-1") == 1
    rounded.busy = set()
    rounded.now += 31
    rounded.rounds.look()
    assert rounded.entered == ["db-1", "web-1"]


def test_a_server_that_left_the_file_leaves_the_metric_and_a_changed_one_is_looked_at_anew(
    rounded: Rounded, tmp_path: Path
) -> None:
    rounded.rounds.look()
    rounded.entered.clear()
    less = SITES.replace("container: nginx}", "container: apache}")
    less = "\n".join(line for line in less.splitlines() if "db-1" not in line)
    rounded.rounds.take(written(tmp_path, less))
    assert rounded.ready("db-1") is None
    assert (rounded.ready("web-1"), rounded.ready("idle")) == (1, 1)
    rounded.rounds.look()
    assert rounded.entered == ["web-1"]
    assert rounded.ready("web-1") == 0


def test_a_key_that_others_may_read_keeps_a_server_shut_at_once(rounded: Rounded, tmp_path: Path) -> None:
    (tmp_path / "key").chmod(0o644)
    rounded.rounds.take(written(tmp_path, SITES))
    assert rounded.ready("web-1") == 0
    assert rounded.failures("files") == 3
    rounded.rounds.look()
    assert rounded.entered == []


def test_a_few_servers_at_once_and_the_others_after_them(
    around: Around, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "known_hosts").touch()
    (tmp_path / "key").touch(mode=0o600)
    ssh = "{user: medic, key_file: key, known_hosts_file: known_hosts}"
    names = [f"s{number}" for number in range(10)]
    text = f"defaults: {{ssh: {ssh}}}\nservers:\n"
    text += "".join(f"  {name}: {{ssh: 198.51.100.{n}}}\n" for n, name in enumerate(names, 1)) + "sites:\n"
    text += "".join(
        f"  - {{name: {name}, url: 'http://127.0.0.1:1/', recover: {{server: {name}, container: x}}}}\n"
        for name in names
    )
    rounded = Rounded(written(tmp_path, text), around)
    sizes = []
    for _ in range(5):
        before = len(rounded.entered)
        rounded.rounds.look()
        sizes.append(len(rounded.entered) - before)
        rounded.now += 1
    assert sorted(rounded.entered) == sorted(names)
    assert max(sizes) <= 4


def test_everything_is_examined_at_once_for_the_doctor(document: Document, around: Around) -> None:
    surroundings = Surroundings(ExporterClient(around.urls[0]), AlertmanagerClient(around.urls[1]), None)
    plan = plan_of(document)
    shut = Rounded(document, around).connect
    report = examine(plan, surroundings, World(shut, None, time.time))
    assert [(one.server, one.check) for one in report.faults if one.server] == [
        ("db-1", "ssh"),
        ("web-1", "ssh"),
    ]
    alone = examine(plan, None, World(connect, None, time.time))
    assert not [one for one in alone.checks if one.server is None]


def test_the_report_is_served_to_those_with_the_token(tmp_path: Path) -> None:
    with lab(tmp_path, timing=replace(QUICK, readiness_begins=0)) as found:

        def report() -> dict[str, object]:
            answer = found.client.get("/api/v1/readiness", headers=API)
            assert answer.status_code == 200
            assert answer.json is not None
            return dict(answer.json)

        until(lambda: report()["checked_at"], 10, "the first round")
        told = report()
        checks = told["checks"]
        assert isinstance(checks, list)
        assert {"check": "exporter", "ok": True, "detail": "the exporter answers, and knows every site",
                "mend": ""} in checks  # fmt: skip
        files = [one for one in checks if one["check"] == "files"]
        assert {one["server"] for one in files if one["ok"] is False} == {"web", "db"}
        assert found.client.get("/api/v1/readiness").status_code == 401
        assert found.metric("sitemedic_readiness_failures", check="files") >= 2
