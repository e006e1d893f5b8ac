"""The guards and the decision as tables; then hypothesis looks for a way around them."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.servers.server import Server, SshSettings
from remediator.deciding.decide import counts_anew, decide, passes_with
from remediator.guards import GUARDS
from remediator.guards.max_unhealthy import max_unhealthy
from remediator.guards.paused import applies
from remediator.guards.verdict import Allow, Ask, Refuse, WaitUntil
from remediator.model.action import Target
from remediator.model.facts import Facts, Limits, Sites, Step, Untold
from remediator.model.holds import Answer, Approval, Maintenance, Pause, Storm
from remediator.model.incident import (
    CONTAINER_DOWN,
    SITE_DOWN,
    Attempt,
    Incident,
    Lease,
    Mode,
    Reason,
    Stage,
    State,
    Verb,
    kind_of,
)
from remediator.model.seen import Canary, Look, Probe, SiteState

NOW = 1_000_000.0
RESTART, REBOOT = Step("restart_container", "restart_container"), Step("reboot_linode", "reboot_linode")
LOOKING = Step("look", None)
WEB = Server("web", SshSettings("10.0.0.1"), linode=7, may_reboot=True)
TARGET = Target("www", WEB, container="nginx")


def failing(reason: str = "status", age: float = 0.5) -> Probe:
    return Probe("www", success=False, time=NOW - age, reason=reason)


def states(**success: bool | None) -> Sites:
    return Sites((name, SiteState(name, ok, part_of=name)) for name, ok in success.items())


HEALTHY_REST = states(www=False, blog=True, wiki=True, docs=True)
FACTS = Facts(
    incident=Incident(1, "www", State.OPEN, NOW - 60),
    target=TARGET,
    target_key="nginx",
    probe=failing(),
    sites=HEALTHY_REST,
    canaries=(Canary("c", success=True),),
    neighbours=(),
    servers={"www": "web"},
)


def attempt(number: int = 1, **values: object) -> Attempt:
    done = Attempt(
        id=number,
        incident_id=1,
        site="www",
        server="web",
        target="nginx",
        action="restart_container",
        step="restart_container",
        stage=Stage.FAILED,
        fence=number,
        created_at=NOW - 600,
        stage_at=NOW - 600,
        acted_at=NOW - 590,
        finished_at=NOW - 500,
    )
    return replace(done, **values)  # type: ignore[arg-type]


def looked(ssh: str) -> Incident:
    return replace(FACTS.incident, look=Look(NOW - 1, ssh))


BOOT = Step("boot_linode", "boot_linode")


def asked(answer: Answer | None, *, at: float = NOW - 60, until: float = NOW + 60) -> dict[str, object]:
    """Return approve mode with one question and its answer."""
    said = Approval(1, 1, RESTART.name, RESTART.name, "", at - 60, answer, "ada", at, until)
    return {"mode": Mode.APPROVE, "approvals": (said,)}


def linode(status: str = "running", **event: object) -> dict[str, object]:
    """Return a look with a Linode's status and one event of its power."""
    whole = {
        "action": "linode_reboot",
        "status": "finished",
        "created": at(NOW - 100),
        "foreign": True,
        **event,
    }
    evidence = {"linode": {"status": status, "recent_events": [whole] if event else []}}
    return {"incident": replace(FACTS.incident, look=Look(NOW - 1, "ok", evidence))}


def at(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def early(status: str = "running", age: float = 1.0, **values: object) -> dict[str, object]:
    """Return an incident that only its container's alert tells of, with what was seen of the container."""
    seen = {"name": "nginx", "status": status, "exit_code": 137, **values}
    look = Look(NOW - age, "ok", {"container": seen})
    return {"incident": replace(FACTS.incident, alert=CONTAINER_DOWN, look=look)}


PAUSED_NOW = early("paused")
LOOPS_NOW = early("restarting", restart_count=5)
OFF = replace(TARGET, server=replace(WEB, may_boot=True))
OWN_REBOOT = {"action": "reboot_linode", "acted_at": NOW - 101, "finished_at": NOW - 90}
GUARD_TABLE = [
    ("start_up", {"started_at": NOW - 5}, RESTART, Reason.START_UP),
    ("start_up", {"started_at": NOW + 5}, RESTART, Reason.START_UP),
    ("start_up", {"started_at": NOW - 5}, LOOKING, None),
    ("start_up", {"started_at": NOW - 15}, RESTART, None),
    ("container_ended", early("exited"), RESTART, None),
    ("container_ended", early("dead"), RESTART, None),
    ("container_ended", early("exited"), REBOOT, Reason.SITE_NOT_DOWN_YET),
    ("container_ended", early("running"), RESTART, Reason.SITE_NOT_DOWN_YET),
    ("container_ended", early("restarting"), RESTART, Reason.SITE_NOT_DOWN_YET),
    ("container_ended", early("created"), RESTART, Reason.SITE_NOT_DOWN_YET),
    ("container_ended", early("paused"), RESTART, Reason.SITE_NOT_DOWN_YET),
    ("container_ended", early("paused"), LOOKING, None),
    (
        "container_ended",
        {"incident": replace(FACTS.incident, alert=CONTAINER_DOWN)},
        RESTART,
        Reason.SITE_NOT_DOWN_YET,
    ),
    ("container_ended", {}, RESTART, None),
    ("maintenance", {"maintenance": Maintenance("backup", NOW + 60)}, RESTART, Reason.MAINTENANCE),
    ("maintenance", {"maintenance": Maintenance("backup", NOW)}, RESTART, None),
    ("silence", {"silenced": True}, RESTART, Reason.SILENCED),
    ("silence", {"silenced": None}, RESTART, Reason.SILENCES_UNKNOWN),
    ("silence", {}, RESTART, None),
    ("storm_cooldown", {"storm": Storm(NOW - 300, NOW - 119, "x")}, RESTART, Reason.STORM_COOLDOWN),
    ("storm_cooldown", {"storm": Storm(NOW, NOW + 9999, "x")}, RESTART, Reason.STORM_COOLDOWN),
    ("storm_cooldown", {"storm": Storm(NOW - 300, NOW - 120, "x")}, RESTART, None),
    ("storm_cooldown", {}, RESTART, None),
    ("may_boot", {}, BOOT, Reason.SERVER_OFF),
    ("may_boot", {"target": OFF}, BOOT, None),
    ("may_boot", {}, RESTART, None),
    ("linode_status", {}, REBOOT, None),
    ("linode_status", linode("rebooting"), RESTART, Reason.LINODE_BUSY),
    ("linode_status", linode("rebooting"), LOOKING, None),
    ("linode_status", linode("offline"), BOOT, None),
    ("linode_status", linode(status="running", foreign=True), REBOOT, Reason.FOREIGN_EVENT),
    ("linode_status", linode(created=at(NOW - 601)), REBOOT, None),
    ("linode_status", linode(foreign=True), RESTART, None),
    ("linode_status", linode(foreign=False), REBOOT, None),
    ("linode_status", linode(foreign=None), REBOOT, Reason.FOREIGN_EVENT),
    ("linode_status", {**linode(foreign=None), "history": (attempt(**OWN_REBOOT),)}, REBOOT, None),
    ("linode_status", linode(action="backups_enable"), REBOOT, None),
    ("mode", {"mode": Mode.APPROVE}, RESTART, Reason.APPROVAL_NEEDED),
    ("mode", {"mode": Mode.APPROVE}, LOOKING, None),
    ("mode", {}, replace(RESTART, mode=Mode.APPROVE), Reason.APPROVAL_NEEDED),
    ("mode", {"mode": Mode.OBSERVE}, replace(RESTART, mode=Mode.APPROVE), Reason.OBSERVE_MODE),
    ("mode", asked(None), RESTART, Reason.APPROVAL_NEEDED),
    ("mode", asked(Answer.WITHDRAWN), RESTART, Reason.APPROVAL_NEEDED),
    ("mode", asked(Answer.APPROVED), RESTART, None),
    ("mode", asked(Answer.APPROVED), REBOOT, Reason.APPROVAL_NEEDED),
    ("mode", asked(Answer.APPROVED, until=NOW), RESTART, Reason.APPROVAL_NEEDED),
    ("mode", asked(Answer.APPROVED, at=NOW + 30, until=NOW + 60), RESTART, Reason.APPROVAL_NEEDED),
    (
        "mode",
        {**asked(Answer.APPROVED), "history": (attempt(created_at=NOW - 50),)},
        RESTART,
        Reason.APPROVAL_NEEDED,
    ),
    ("mode", asked(Answer.DENIED), RESTART, Reason.APPROVAL_DENIED),
    ("paused", {"pauses": (Pause("all", "ann", "", 1.0),)}, RESTART, Reason.PAUSED),
    ("paused", {"pauses": (Pause("site:www", "ann", "", 1.0),)}, RESTART, Reason.PAUSED),
    ("paused", {"pauses": (Pause("server:web", "ann", "", 1.0),)}, RESTART, Reason.PAUSED),
    ("paused", {"pauses": (Pause("site:blog", "ann", "", 1.0),)}, RESTART, None),
    ("mode", {"mode": Mode.OBSERVE}, RESTART, Reason.OBSERVE_MODE),
    ("mode", {}, RESTART, None),
    ("target", {"target": None}, RESTART, Reason.NO_TARGET),
    ("target", {"target": replace(TARGET, site="other")}, RESTART, Reason.NO_TARGET),
    ("target", {"target": replace(TARGET, container=None)}, RESTART, Reason.NO_TARGET),
    ("target", {"target": replace(TARGET, compose=("a", "b"))}, RESTART, Reason.NO_TARGET),
    ("target", {"target": replace(TARGET, container=None)}, REBOOT, None),
    ("target", {}, RESTART, None),
    ("own_host", {"target": replace(TARGET, server=replace(WEB, local=True))}, REBOOT, Reason.OWN_SERVER),
    ("own_host", {"target": replace(TARGET, server=replace(WEB, local=True))}, RESTART, None),
    (
        "own_host",
        {"target": Target("www", replace(WEB, local=True), container="sitemedic-exporter-1")},
        RESTART,
        Reason.OWN_CONTAINER,
    ),
    (
        "own_host",
        {"target": Target("www", replace(WEB, local=True), compose=("sitemedic", "web"))},
        RESTART,
        Reason.OWN_CONTAINER,
    ),
    ("fresh_probe", {"probe": None}, RESTART, Reason.NO_FRESH_PROBE),
    ("fresh_probe", {"probe": failing(age=11)}, RESTART, Reason.NO_FRESH_PROBE),
    ("fresh_probe", {"probe": failing(age=-5)}, RESTART, Reason.NO_FRESH_PROBE),
    ("fresh_probe", {"probe": Probe("www", success=True, time=NOW)}, RESTART, Reason.PASSING),
    ("fresh_probe", {}, RESTART, None),
    ("canaries", {"canaries": None}, RESTART, Reason.CANARIES_FAIL),
    ("canaries", {"canaries": (Canary("a", success=False),)}, RESTART, Reason.CANARIES_FAIL),
    ("canaries", {"canaries": (Canary("a", success=False), Canary("b", success=True))}, REBOOT, None),
    ("canaries", {"canaries": ()}, RESTART, None),
    ("canaries", {"canaries": ()}, REBOOT, Reason.NO_CANARIES),
    ("max_unhealthy", {"sites": None}, RESTART, Reason.NO_SITES),
    ("max_unhealthy", {"limits": Limits(max_unhealthy=0.0)}, RESTART, Reason.TOO_MANY_UNHEALTHY),
    ("max_unhealthy", {"limits": Limits(max_unhealthy=0.25)}, RESTART, None),
    (
        "max_unhealthy",
        {"limits": Limits(max_unhealthy=0.25), "in_flight": frozenset({"blog"})},
        RESTART,
        Reason.TOO_MANY_UNHEALTHY,
    ),
    (
        "max_unhealthy",
        {"sites": states(www=False, a=False, b=False, c=True)},
        RESTART,
        Reason.TOO_MANY_UNHEALTHY,
    ),
    ("max_unhealthy", {"sites": states(www=False)}, RESTART, None),
    ("max_unhealthy", {"sites": states(www=False, a=False)}, RESTART, None),
    (
        "max_unhealthy",
        {"sites": states(www=False, a=False), "in_flight": frozenset({"a"})},
        RESTART,
        Reason.ONE_AT_A_TIME,
    ),
    ("server_lease", {"lease": Lease("web", "x", 1, NOW + 1)}, RESTART, Reason.SERVER_BUSY),
    ("server_lease", {"lease": Lease("web", "x", 1, NOW)}, RESTART, None),
    ("cooldown", {"history": (attempt(finished_at=NOW - 59),)}, RESTART, Reason.COOLDOWN),
    ("cooldown", {"history": (attempt(finished_at=NOW - 60),)}, RESTART, None),
    ("cooldown", {"history": (attempt(site="x", target="y", finished_at=NOW),)}, RESTART, None),
    (
        "cooldown",
        {"history": (attempt(site="x", target="y", action="reboot_linode", finished_at=NOW),)},
        RESTART,
        Reason.COOLDOWN,
    ),
    ("attempt_budget", {"history": (attempt(1), attempt(2))}, RESTART, None),
    ("attempt_budget", {"history": (attempt(1), attempt(2), attempt(3))}, RESTART, Reason.ATTEMPT_BUDGET),
    (
        "attempt_budget",
        {"history": tuple(attempt(n, site="www/api", incident_id=9) for n in range(3))},
        RESTART,
        Reason.ATTEMPT_BUDGET,
    ),
    (
        "attempt_budget",
        {"history": tuple(attempt(n, created_at=NOW - 3600, acted_at=NOW - 3600) for n in range(9))},
        RESTART,
        None,
    ),
    (
        "attempt_budget",
        {"history": tuple(attempt(n, stage=Stage.ABANDONED, acted_at=None) for n in range(9))},
        RESTART,
        None,
    ),
    (
        "attempt_budget",
        {"history": tuple(attempt(n, site="x", target="y", action="reboot_linode") for n in range(3))},
        REBOOT,
        Reason.ATTEMPT_BUDGET,
    ),
    ("may_reboot", {}, REBOOT, None),
    ("may_reboot", {"target": replace(TARGET, server=replace(WEB, may_reboot=False))}, RESTART, None),
    (
        "may_reboot",
        {"target": replace(TARGET, server=replace(WEB, may_reboot=False))},
        REBOOT,
        Reason.REBOOT_NOT_ALLOWED,
    ),
    (
        "may_reboot",
        {"target": replace(TARGET, server=replace(WEB, linode=None))},
        REBOOT,
        Reason.REBOOT_NOT_ALLOWED,
    ),
    ("neighbours", {"neighbours": None}, REBOOT, Reason.NO_FRESH_PROBE),
    ("neighbours", {"neighbours": (Probe("a", success=True, time=NOW),)}, REBOOT, Reason.HEALTHY_NEIGHBOUR),
    ("neighbours", {"neighbours": (Probe("a", success=False, time=NOW),)}, REBOOT, None),
    ("neighbours", {"neighbours": None}, RESTART, None),
    ("own_host", {"own_server": True}, REBOOT, Reason.OWN_SERVER),
    ("own_host", {"own_server": Untold("no answer")}, REBOOT, Reason.OWN_SERVER),
    ("own_host", {"own_server": Untold("no token", permanent=True)}, REBOOT, Reason.OWN_SERVER),
    ("own_host", {"own_server": Untold("no answer")}, RESTART, None),
    ("own_host", {"own_server": True}, RESTART, None),
    (
        "own_host",
        {"own_server": True, "target": replace(TARGET, container="sitemedic-exporter-1")},
        RESTART,
        Reason.OWN_CONTAINER,
    ),
    ("own_host", {"target": replace(TARGET, container="sitemedic-exporter-1")}, RESTART, None),
    ("needs", {"needs": ("blog",)}, RESTART, None),
    ("needs", {"needs": ("redis",)}, RESTART, Reason.NEED_UNHEALTHY),
    ("needs", {"needs": ("a",), "sites": states(www=False, a=None)}, RESTART, Reason.NEED_UNHEALTHY),
]


@pytest.mark.parametrize(("guard", "change", "step", "reason"), GUARD_TABLE)
def test_each_guard_holds_back_what_it_is_for(
    guard: str, change: dict[str, object], step: Step, reason: Reason | None
) -> None:
    verdict = GUARDS[guard](replace(FACTS, **change), step, NOW)  # type: ignore[arg-type]
    assert (None if isinstance(verdict, Allow) else verdict.reason) is reason


def test_every_guard_stands_in_the_table_with_both_answers() -> None:
    for name in GUARDS:
        answers = {reason is None for guard, _change, _step, reason in GUARD_TABLE if guard == name}
        assert answers == {True, False}, name


EARLY_TABLE = [
    ({**early("exited")}, Verb.ACT, Reason.ANSWERS_WRONGLY),
    ({**early("exited"), "probe": failing("refused")}, Verb.ACT, Reason.DOES_NOT_ANSWER),
    ({**early("exited"), "probe": failing("dns")}, Verb.WAIT, Reason.SITE_NOT_DOWN_YET),
    ({**early("exited", age=60.0)}, Verb.LOOK, Reason.LOOK_FIRST),
    ({**early("running")}, Verb.WAIT, Reason.SITE_NOT_DOWN_YET),
    ({**early("paused")}, Verb.WAIT, Reason.SITE_NOT_DOWN_YET),
    ({**early("restarting", restart_count=5)}, Verb.WAIT, Reason.SITE_NOT_DOWN_YET),
    ({**early("exited"), "probe": None}, Verb.WAIT, Reason.NO_FRESH_PROBE),
    ({**early("exited"), "pauses": (Pause("all", "", "", 1.0),)}, Verb.REFUSE, Reason.PAUSED),
    ({**early("exited"), "silenced": True}, Verb.WAIT, Reason.SILENCED),
    ({**early("exited"), "mode": Mode.OBSERVE}, Verb.OBSERVE, Reason.OBSERVE_MODE),
]


@pytest.mark.parametrize(("change", "verb", "reason"), EARLY_TABLE)
def test_before_its_site_is_down_only_a_container_that_has_ended_is_healed(
    change: dict[str, object], verb: Verb, reason: Reason
) -> None:
    decision = decide(replace(FACTS, **change), NOW)  # type: ignore[arg-type]
    assert (decision.verb, decision.reason) == (verb, reason)


def test_a_site_whose_probes_pass_is_not_touched_whatever_its_container_does() -> None:
    passing = Probe("www", success=True, time=NOW - 0.5)
    facts = replace(FACTS, probe=passing, **early("exited"))  # type: ignore[arg-type]
    assert decide(facts, NOW).reason is Reason.PASSING
    assert decide(replace(facts, incident=replace(facts.incident, passes=1)), NOW).verb is Verb.CLOSE


@pytest.mark.parametrize("seen", [PAUSED_NOW, LOOPS_NOW], ids=["paused", "restarted by Docker"])
def test_once_its_site_is_down_what_no_restart_mends_is_a_humans(seen: dict[str, object]) -> None:
    told = replace(FACTS, **seen, probe=failing("timeout"))  # type: ignore[arg-type]
    told = replace(told, incident=replace(told.incident, alert=SITE_DOWN))
    decision = decide(told, NOW)
    assert decision.verb is Verb.ESCALATE
    assert decision.reason in (Reason.ACTION_IMPOSSIBLE, Reason.CRASH_LOOP)
    assert "nginx" in decision.detail


def test_every_guard_has_a_file_of_its_name() -> None:
    folder = Path("remediator/guards")
    files = {path.stem for path in folder.glob("*.py")} - {"__init__", "verdict"}
    assert files == set(GUARDS)


def test_sites_of_one_server_count_as_one_thing_that_broke() -> None:
    sites = states(www=False, shop=False, blog=False)
    one_server = replace(FACTS, sites=sites, servers=dict.fromkeys(sites, "web"))
    assert isinstance(max_unhealthy(one_server, RESTART, NOW), Allow)
    two_servers = replace(one_server, servers={"www": "web", "shop": "web", "blog": "db"})
    assert isinstance(max_unhealthy(two_servers, RESTART, NOW), WaitUntil)


def down(**places: tuple[str, str]) -> Facts:
    """Return facts with these sites down, each as (root site, reason), and one healthy site beside them."""
    found = {
        name.replace("_", "/"): SiteState(name, False, part_of=root, reason=reason)
        for name, (root, reason) in places.items()
    }
    healthy = SiteState("other", True, part_of="other")
    return replace(FACTS, sites=Sites({**found, "other": healthy}))


def test_a_chain_of_servers_and_sites_is_not_one_thing_that_broke() -> None:
    """One root site on two servers, each with another site: a network's fault reaches all of them."""
    facts = down(www=("www", "timeout"), www_db=("www", "timeout"), shop=("shop", "timeout"))
    chained = replace(facts, servers={"www": "web", "www/db": "db", "shop": "db"})
    for step in (RESTART, REBOOT):
        verdict = max_unhealthy(chained, step, NOW)
        assert isinstance(verdict, WaitUntil)
        assert verdict.reason is Reason.TOO_MANY_UNHEALTHY


def test_a_root_site_with_silent_parts_on_two_servers_is_restarted_but_not_rebooted() -> None:
    facts = down(www=("www", "timeout"), www_db=("www", "timeout"), www_api=("www", "timeout"))
    silent = replace(facts, servers={"www": "web", "www/db": "db"})
    assert isinstance(max_unhealthy(silent, RESTART, NOW), Allow)
    assert isinstance(max_unhealthy(silent, REBOOT, NOW), WaitUntil)
    facts = down(www=("www", "timeout"), www_db=("www", "status"), www_api=("www", "timeout"))
    other_server_answers = replace(facts, servers={"www": "web", "www/db": "db"})
    assert isinstance(max_unhealthy(other_server_answers, REBOOT, NOW), Allow)


def test_a_site_without_a_server_counts_as_where_its_root_is() -> None:
    facts = down(www=("www", "timeout"), www_api=("www", "timeout"), shop=("shop", "timeout"))
    one_server = replace(facts, servers={"www": "web", "shop": "web"})
    assert isinstance(max_unhealthy(one_server, REBOOT, NOW), Allow)
    shop_is_nowhere = replace(facts, servers={"www": "web"})
    assert isinstance(max_unhealthy(shop_is_nowhere, REBOOT, NOW), WaitUntil)


def test_when_our_own_network_is_down_no_rule_of_one_thing_lets_a_reboot_through() -> None:
    facts = replace(down(www=("www", "timeout"), www_api=("www", "timeout")), incident=looked("unreachable"))
    for canaries in ((), None, (Canary("a", success=False),)):
        assert decide(replace(facts, probe=failing("timeout"), canaries=canaries), NOW).verb is not Verb.ACT


def test_an_attempt_on_the_same_server_but_another_site_needs_no_cooldown_unless_it_was_a_reboot() -> None:
    other = attempt(site="x", target="y", finished_at=NOW)
    assert isinstance(GUARDS["cooldown"](replace(FACTS, history=(other,)), RESTART, NOW), Allow)
    rebooted = replace(other, action="reboot_linode")
    assert isinstance(GUARDS["cooldown"](replace(FACTS, history=(rebooted,)), RESTART, NOW), WaitUntil)


def test_a_pause_of_a_site_covers_its_apps_and_no_namesake() -> None:
    pause = Pause("site:www", "", "", 0.0)
    assert applies(pause, "www/api", None)
    assert not applies(pause, "www2", None)


DECIDE_TABLE = [
    ({}, Verb.ACT, Reason.ANSWERS_WRONGLY),
    ({"known": False}, Verb.CLOSE, Reason.SITE_REMOVED),
    ({"probe": Probe("www", success=True, time=NOW)}, Verb.WAIT, Reason.PASSING),
    ({"probe": Probe("www", success=True, time=NOW - 60)}, Verb.WAIT, Reason.NO_FRESH_PROBE),
    (
        {
            "probe": Probe("www", success=True, time=NOW),
            "incident": replace(FACTS.incident, passes=1, passed_at=NOW - 3),
        },
        Verb.CLOSE,
        Reason.PROVED,
    ),
    (
        {
            "probe": Probe("www", success=True, time=NOW),
            "incident": replace(FACTS.incident, passes=1, passed_at=NOW - 1),
        },
        Verb.WAIT,
        Reason.PASSING,
    ),
    ({"has_recover": False, "target": None}, Verb.OBSERVE, Reason.NO_RECOVER),
    ({"mode": Mode.OBSERVE}, Verb.OBSERVE, Reason.OBSERVE_MODE),
    ({"probe": failing("dns")}, Verb.ESCALATE, Reason.FOR_A_HUMAN),
    ({"probe": failing("dns"), "canaries": (Canary("a", success=False),)}, Verb.WAIT, Reason.CANARIES_FAIL),
    ({"probe": failing("timeout")}, Verb.LOOK, Reason.LOOK_FIRST),
    ({"probe": failing("timeout"), "incident": looked("ok")}, Verb.ACT, Reason.DOES_NOT_ANSWER),
    ({"probe": failing("timeout"), "incident": looked("local")}, Verb.ACT, Reason.DOES_NOT_ANSWER),
    ({"probe": failing("timeout"), "incident": looked("unreachable")}, Verb.ACT, Reason.SERVER_UNREACHABLE),
    ({"probe": failing("timeout"), "incident": looked("cannot_tell")}, Verb.ESCALATE, Reason.CANNOT_TELL),
    (
        {
            "probe": failing("timeout"),
            "incident": replace(looked("ok"), state=State.NEEDS_HUMAN, reason="cannot_tell"),
        },
        Verb.ACT,
        Reason.DOES_NOT_ANSWER,
    ),
    ({"probe": failing("timeout"), "incident": looked("auth")}, Verb.ESCALATE, Reason.CANNOT_ENTER),
    (
        {"probe": failing("timeout"), "incident": looked("host_key_changed")},
        Verb.ESCALATE,
        Reason.CANNOT_ENTER,
    ),
    ({"history": (attempt(1), attempt(2))}, Verb.ESCALATE, Reason.NOTHING_LEFT),
    ({"history": (attempt(1, permanent=True),)}, Verb.ESCALATE, Reason.ACTION_IMPOSSIBLE),
    ({"probe": None}, Verb.WAIT, Reason.NO_FRESH_PROBE),
    (
        {"incident": replace(FACTS.incident, state=State.NEEDS_HUMAN, reason="nothing_left")},
        Verb.ESCALATE,
        Reason.NOTHING_LEFT,
    ),
    (
        {"incident": replace(FACTS.incident, state=State.NEEDS_HUMAN, reason="for_a_human")},
        Verb.LOOK,
        Reason.LOOK_FIRST,
    ),
    (
        {
            "incident": replace(
                FACTS.incident, state=State.NEEDS_HUMAN, reason="for_a_human", look=Look(NOW - 1, "ok")
            )
        },
        Verb.ACT,
        Reason.ANSWERS_WRONGLY,
    ),
]


@pytest.mark.parametrize(("change", "verb", "reason"), DECIDE_TABLE)
def test_the_decision_follows_the_facts(change: dict[str, object], verb: Verb, reason: Reason) -> None:
    decision = decide(replace(FACTS, **change), NOW)  # type: ignore[arg-type]
    assert (decision.verb, decision.reason) == (verb, reason)


def test_a_guard_that_raises_refuses() -> None:
    def broken(_facts: Facts, _step: Step, _now: float) -> Allow:
        raise KeyError("oops")

    decision = decide(FACTS, NOW, {**GUARDS, "broken": broken})
    assert (decision.verb, decision.reason) == (Verb.REFUSE, Reason.GUARD_ERROR)


def test_a_decision_keeps_the_numbers_of_every_guard_and_names_those_that_held() -> None:
    decision = decide(replace(FACTS, pauses=(Pause("all", "", "", 1.0),)), NOW)
    assert decision.numbers["held_by"] == ["paused"]
    assert {"share", "cap", "attempts", "canaries_answering"} <= decision.numbers.keys()


some_servers = st.builds(
    Server, st.just("web"), st.none(), st.sampled_from([None, 7, 7]), st.booleans(), st.booleans()
)
some_targets = st.one_of(
    st.none(),
    st.builds(
        Target,
        st.sampled_from(["www", "www", "blog"]),
        some_servers,
        container=st.sampled_from(["nginx", "sitemedic-exporter-1", None]),
    ),
)
CHANGES: dict[str, st.SearchStrategy[object]] = {
    "known": st.booleans(),
    "has_recover": st.booleans(),
    "target": some_targets,
    "mode": st.sampled_from(Mode),
    "probe": st.one_of(
        st.none(),
        st.builds(
            Probe,
            site=st.just("www"),
            success=st.booleans(),
            time=st.floats(NOW - 30, NOW + 10),
            reason=st.sampled_from(["status", "body", "refused", "timeout", "dns", "tls", "error", None]),
        ),
    ),
    "sites": st.one_of(
        st.none(),
        st.dictionaries(st.sampled_from("abcdefgh"), st.sampled_from([True, False, None])).map(
            lambda found: states(**found, www=False)
        ),
    ),
    "needs": st.lists(st.sampled_from(["blog", "a", "b"]), max_size=2).map(tuple),
    "canaries": st.one_of(
        st.none(), st.lists(st.builds(Canary, st.just("c"), st.booleans()), max_size=2).map(tuple)
    ),
    "neighbours": st.one_of(
        st.none(),
        st.lists(st.builds(Probe, st.just("n"), st.booleans(), st.just(NOW)), max_size=2).map(tuple),
    ),
    "own_server": st.sampled_from([True, False, Untold("no answer"), Untold("no token", permanent=True)]),
    "in_flight": st.frozensets(st.sampled_from(["blog", "wiki", "a", "b"]), max_size=3),
    "pauses": st.lists(
        st.builds(
            Pause,
            st.sampled_from(["all", "site:www", "server:web", "site:a"]),
            st.just(""),
            st.just(""),
            st.just(1.0),
        ),
        max_size=2,
    ).map(tuple),
    "lease": st.one_of(
        st.none(), st.builds(Lease, st.just("web"), st.just("x"), st.just(1), st.floats(NOW - 9, NOW + 9))
    ),
    "history": st.lists(
        st.builds(
            attempt,
            st.integers(1, 99),
            incident_id=st.integers(1, 3),
            stage=st.sampled_from([Stage.FAILED, Stage.SUCCEEDED, Stage.ABANDONED]),
            created_at=st.floats(NOW - 7200, NOW - 1),
            finished_at=st.floats(NOW - 300, NOW),
            action=st.sampled_from(["restart_container", "reboot_linode"]),
        ),
        max_size=6,
    ).map(tuple),
    "limits": st.builds(
        Limits, max_unhealthy=st.sampled_from([0.0, 0.3, 0.5, 1.0]), attempts=st.integers(1, 3)
    ),
}
DEAD_SERVER = replace(FACTS, probe=failing("timeout"), incident=looked("unreachable"))


@st.composite
def any_facts(draw: st.DrawFn) -> Facts:
    """Facts on which it would act, with one to four of them changed."""
    told_early = [replace(FACTS, **early(status)) for status in ("exited", "paused")]  # type: ignore[arg-type]
    others = [FACTS, DEAD_SERVER, replace(DEAD_SERVER, incident=looked("ok"))]
    facts = draw(st.sampled_from([*others, *told_early]))
    names = draw(st.lists(st.sampled_from(sorted(CHANGES)), min_size=1, max_size=4, unique=True))
    return replace(facts, **{name: draw(CHANGES[name]) for name in names})  # type: ignore[arg-type]


def over_the_cap(facts: Facts) -> bool:
    assert facts.sites is not None
    unhealthy = facts.sites.failing | facts.in_flight | {"www"}
    total = max(len(facts.sites), len(unhealthy))
    if total >= 3 and len(unhealthy) / total <= facts.limits.max_unhealthy:
        return False
    return bool(facts.in_flight - {"www"}) if total < 3 else len(unhealthy) > 1


@settings(max_examples=600, deadline=None)
@given(any_facts())
def test_nothing_is_ever_acted_on_that_must_not_be(facts: Facts) -> None:
    decision = decide(facts, NOW)
    if decision.verb is Verb.CLOSE and facts.known:
        assert facts.probe is not None
        assert facts.probe.success
        assert passes_with(facts) >= facts.limits.passes
    if decision.verb is not Verb.ACT:
        return
    assert facts.known
    assert facts.mode is Mode.AUTO
    assert facts.probe is not None
    assert not facts.probe.success
    assert -1 <= NOW - facts.probe.time <= facts.limits.probe_max_age
    assert kind_of(facts.probe.reason).value != "for_a_human"
    assert all(pause.scope == "site:a" for pause in facts.pauses)
    assert facts.lease is None or facts.lease.expires_at <= NOW
    assert facts.sites is not None
    assert all(name in facts.sites and facts.sites[name].success for name in facts.needs)
    assert facts.canaries is not None
    assert not facts.canaries or any(one.success for one in facts.canaries)
    assert facts.limits.max_unhealthy > 0
    assert not over_the_cap(facts)
    if facts.incident.early:
        assert decision.action == "restart_container"
        assert facts.incident.look is not None
        assert facts.incident.look.evidence["container"]["status"] == "exited"  # type: ignore[index,call-overload]
    check_history(facts)
    check_target(facts, decision.action == "reboot_linode")


def check_history(facts: Facts) -> None:
    recent = [one for one in facts.history if one.counts and one.created_at > NOW - facts.limits.per]
    assert len(recent) < facts.limits.attempts
    assert all(NOW - (one.finished_at or NOW) >= facts.limits.cooldown for one in facts.history if one.counts)


def check_target(facts: Facts, reboots: bool) -> None:
    assert facts.target is not None
    assert facts.target.site == "www"
    assert not reboots or facts.own_server is False
    local, ours = facts.target.server.local, facts.target.container == "sitemedic-exporter-1"
    assert not (local and (ours or reboots))
    if reboots:
        assert facts.target.server.may_reboot
        assert facts.target.server.linode is not None
        assert facts.canaries
        assert facts.neighbours is not None
        assert not any(one.success for one in facts.neighbours)
    else:
        assert facts.target.container is not None


def test_each_guard_alone_stands_between_its_case_and_an_act() -> None:
    for left_out in sorted(set(GUARDS) - {"may_reboot"}):  # the playbook asks for that permission as well
        less = {name: guard for name, guard in GUARDS.items() if name != left_out}
        slipped = [decide(facts, NOW, less).verb is Verb.ACT for facts in held_back_by(left_out)]
        assert any(slipped), left_out


def held_back_by(guard: str) -> list[Facts]:
    """Return the facts of the table that this guard holds back, on a step that would be taken."""
    found = []
    for name, change, step, reason in GUARD_TABLE:
        if name == guard and reason is not None:
            found.append(replace(DEAD_SERVER if step is REBOOT else FACTS, **change))  # type: ignore[arg-type]
    return found


@pytest.mark.parametrize("guard", sorted(GUARDS))
def test_a_verdict_that_is_not_to_allow_always_says_why(guard: str) -> None:
    for name, change, step, _reason in GUARD_TABLE:
        if name == guard:
            verdict = GUARDS[name](replace(FACTS, **change), step, NOW)  # type: ignore[arg-type]
            assert isinstance(verdict, Allow | WaitUntil | Refuse | Ask)
            assert isinstance(verdict, Allow) or verdict.detail


def test_a_pass_of_the_future_is_none_the_count_begins_anew() -> None:
    probe = replace(FACTS.probe, success=True, reason=None, time=NOW)
    for passes in (0, 1, 2):
        incident = replace(FACTS.incident, passes=passes, passed_at=NOW + 4000)
        facts = replace(FACTS, incident=incident, probe=probe)
        assert counts_anew(facts)
        assert passes_with(facts) == 1
        assert decide(facts, NOW).reason is Reason.PASSING
