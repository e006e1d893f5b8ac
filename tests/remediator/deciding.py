"""A site that is down and may be restarted, as the facts of a decision; and what may be otherwise."""

from dataclasses import replace

from core.servers.server import Server, SshSettings
from remediator.model.action import Target
from remediator.model.facts import Facts, Sites, Step
from remediator.model.incident import CONTAINER_DOWN, Attempt, Incident, Stage, State
from remediator.model.seen import Canary, Look, Probe, SiteState

NOW = 1_000_000.0
RESTART, REBOOT = Step("restart_container", "restart_container"), Step("reboot_linode", "reboot_linode")
LOOKING = Step("look", None)
BOOT = Step("boot_linode", "boot_linode")
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


def early(status: str = "running", age: float = 1.0, **values: object) -> dict[str, object]:
    """Return an incident that only its container's alert tells of, with what was seen of the container."""
    seen = {"name": "nginx", "status": status, "exit_code": 137, **values}
    look = Look(NOW - age, "ok", {"container": seen})
    return {"incident": replace(FACTS.incident, alert=CONTAINER_DOWN, look=look)}


DEAD_SERVER = replace(FACTS, probe=failing("timeout"), incident=looked("unreachable"))
