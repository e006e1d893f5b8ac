"""Each guard, on what it holds back and on what it lets through."""

from dataclasses import replace
from datetime import UTC, datetime

from remediator.model.action import Target
from remediator.model.facts import Limits, Untold
from remediator.model.holds import Answer, Approval, Maintenance, Pause, Storm
from remediator.model.incident import CONTAINER_DOWN, Lease, Mode, Reason, Stage
from remediator.model.seen import Canary, Look, Probe
from tests.remediator.deciding import (
    BOOT,
    FACTS,
    LOOKING,
    NOW,
    REBOOT,
    RESTART,
    TARGET,
    WEB,
    attempt,
    early,
    failing,
    states,
)

OFF = replace(TARGET, server=replace(WEB, may_boot=True))
OWN_REBOOT = {"action": "reboot_linode", "acted_at": NOW - 101, "finished_at": NOW - 90}


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
