"""Which step is next, as a table: kind of outage, what was found, what was tried; and the words for it."""

from dataclasses import replace
from pathlib import Path

import pytest

from core.faults import ConfigError
from core.servers.schema import PART as SERVERS
from core.servers.server import CommandResult, Server, SshSettings
from core.sites import load
from exporter.schema import PART as EXPORTER
from remediator.actions import ACTIONS
from remediator.configuration.policy import Policy, SitePolicy, policy_of
from remediator.configuration.schema import PART
from remediator.deciding.last_check import (
    Said,
    Withdrawn,
    before_the_act,
    by_the_look,
    other_outage,
    still_wanted,
    was_approved,
)
from remediator.deciding.playbook import Stop, next_step
from remediator.guards.cooldown import cooldown
from remediator.guards.verdict import Allow, WaitUntil
from remediator.model.action import JSON, Target
from remediator.model.facts import Facts, Step
from remediator.model.findings import read, sentence
from remediator.model.holds import Answer, Approval
from remediator.model.incident import Attempt, Incident, Kind, Mode, Reason, Stage, State
from remediator.model.playbooks import BUILT_IN, PlannedStep, Playbook
from remediator.model.seen import Look, Probe
from remediator.on_server import docker
from remediator.timing import Timing

NOW = 1_000_000.0
ALL = Server("web", SshSettings("10.0.0.1"), linode=7, may_reboot=True, may_boot=True)
NONE = replace(ALL, may_reboot=False, may_boot=False)
BOOT, RESTART, REBOOT, LOOK = "boot_linode", "restart_container", "reboot_linode", "look"


def container(**values: JSON) -> dict[str, JSON]:
    usual: dict[str, JSON] = {
        "name": "nginx", "status": "running", "exit_code": 0, "oom_killed": False, "error": "",
        "health": None, "started_at": "2020-01-01T00:00:00.123456789Z", "restart_count": 0,
    }  # fmt: skip
    return {"container": usual | values}


def linode(status: str) -> dict[str, JSON]:
    return {"linode": {"status": status, "recent_events": []}}


STARTED_NOW = "1970-01-12T13:46:30Z"  # ten seconds before NOW
PAUSED = container(status="paused")
EXITED = container(status="exited", exit_code=137, oom_killed=True)
LOOPS = container(status="restarting", restart_count=2, exit_code=1)
STARTS_AGAIN = container(started_at=STARTED_NOW, restart_count=3)
RESTARTED_ONCE = container(started_at=STARTED_NOW, restart_count=1)
RESTARTED_LONG_AGO = container(restart_count=40)
OFF, RUNS = linode("offline"), linode("running")
NO_DOCKER: dict[str, JSON] = {
    "problems": [
        docker.failure(
            CommandResult(1, "", "Cannot connect to the Docker daemon"), "docker ps", "web"
        ).message
    ]
}


def facts(
    reason: str,
    look: tuple[str, dict[str, JSON]] | None,
    *tried: str,
    server: Server = ALL,
    playbook: Playbook = BUILT_IN,
) -> Facts:
    found = None if look is None else Look(NOW - 1, look[0], look[1])
    return Facts(
        incident=Incident(1, "www", State.OPEN, NOW - 900, look=found),
        target=Target("www", server, container="nginx"),
        target_key="nginx",
        probe=Probe("www", success=False, time=NOW, reason=reason, detail="why"),
        history=tuple(attempt(number, step) for number, step in enumerate(tried, 1)),
        playbook=playbook,
    )


def attempt(number: int, step: str, **values: object) -> Attempt:
    at = NOW - 600 + number
    done = Attempt(
        number, 1, "www", "web", "nginx", step.partition(":")[0].partition("-")[0], step, Stage.FAILED,
        number, at, at, acted_at=at, finished_at=at,
    )  # fmt: skip
    return replace(done, **values)  # type: ignore[arg-type]


TABLE = [
    # reason, look, tried, server: next
    ("status", None, (), ALL, RESTART),
    ("status", None, (RESTART,), ALL, RESTART),
    ("status", None, (RESTART, RESTART), ALL, Reason.NOTHING_LEFT),
    ("body", ("ok", EXITED), (), ALL, RESTART),
    ("status", ("ok", LOOPS), (), ALL, Reason.CRASH_LOOP),
    ("status", ("ok", PAUSED), (), ALL, Reason.ACTION_IMPOSSIBLE),
    ("status", ("unreachable", RUNS), (), ALL, Reason.CANNOT_TELL),
    ("status", ("unreachable", OFF), (), ALL, Reason.CANNOT_TELL),
    ("status", ("auth", {}), (), ALL, Reason.CANNOT_ENTER),
    ("timeout", None, (), ALL, LOOK),
    ("refused", None, (RESTART, RESTART, REBOOT, BOOT), ALL, LOOK),
    ("refused", ("ok", EXITED), (), ALL, RESTART),
    ("refused", ("local", EXITED), (), ALL, RESTART),
    ("refused", ("ok", EXITED | OFF), (), ALL, RESTART),
    ("refused", ("ok", {}), (RESTART, RESTART), ALL, Reason.NOTHING_LEFT),
    ("refused", ("ok", NO_DOCKER), (), ALL, Reason.CANNOT_TELL),
    ("refused", ("local", NO_DOCKER), (RESTART,), ALL, Reason.CANNOT_TELL),
    ("refused", ("ok", LOOPS), (), ALL, Reason.CRASH_LOOP),
    ("refused", ("ok", LOOPS), (RESTART, RESTART), ALL, Reason.CRASH_LOOP),
    ("refused", ("ok", STARTS_AGAIN), (), ALL, Reason.CRASH_LOOP),
    ("refused", ("ok", RESTARTED_ONCE), (), ALL, RESTART),
    ("refused", ("ok", RESTARTED_LONG_AGO), (), ALL, RESTART),
    ("refused", ("ok", PAUSED), (), ALL, Reason.ACTION_IMPOSSIBLE),
    ("timeout", ("unreachable", RUNS), (), ALL, REBOOT),
    ("timeout", ("timeout", {}), (), ALL, REBOOT),
    ("timeout", ("unreachable", RUNS), (REBOOT,), ALL, Reason.NOTHING_LEFT),
    ("timeout", ("unreachable", RUNS), (RESTART, RESTART), ALL, REBOOT),
    ("timeout", ("ok", EXITED), (REBOOT,), ALL, RESTART),
    ("timeout", ("unreachable", RUNS), (), NONE, Reason.REBOOT_NOT_ALLOWED),
    ("timeout", ("unreachable", {}), (), replace(ALL, linode=None), Reason.REBOOT_NOT_ALLOWED),
    ("timeout", ("unreachable", OFF), (), ALL, BOOT),
    ("timeout", ("unreachable", OFF), (BOOT,), ALL, Reason.NOTHING_LEFT),
    ("timeout", ("unreachable", OFF), (), replace(ALL, may_boot=False), Reason.SERVER_OFF),
    ("timeout", ("unreachable", OFF), (), NONE, Reason.SERVER_OFF),
    ("timeout", ("cannot_tell", OFF), (), ALL, Reason.CANNOT_TELL),
    ("timeout", ("host_key_changed", RUNS), (), ALL, Reason.CANNOT_ENTER),
    ("timeout", ("auth", OFF), (), ALL, Reason.CANNOT_ENTER),
    ("dns", ("unreachable", RUNS), (), ALL, Reason.FOR_A_HUMAN),
    ("certificate", ("ok", EXITED), (), ALL, Reason.FOR_A_HUMAN),
    ("silent", ("ok", EXITED), (), ALL, Reason.FOR_A_HUMAN),
    ("failed", ("ok", EXITED), (), ALL, Reason.FOR_A_HUMAN),
]  # fmt: skip


@pytest.mark.parametrize(("reason", "look", "tried", "server", "expected"), TABLE)
def test_the_next_step_follows_kind_look_and_history(
    reason: str,
    look: tuple[str, dict[str, JSON]] | None,
    tried: tuple[str, ...],
    server: Server,
    expected: str | Reason,
) -> None:
    found = next_step(facts(reason, look, *tried, server=server), NOW)
    assert (found.name if isinstance(found, Step) else found.reason) == expected


HOOK = PlannedStep("run_hook:tidy", "run_hook", hook="tidy", mode=Mode.APPROVE)
OWN = Playbook(
    "own",
    answers_wrongly=(HOOK, PlannedStep(RESTART, RESTART), PlannedStep(f"{RESTART}-2", RESTART, wait=600.0)),
    does_not_answer=(HOOK,),
)


@pytest.mark.parametrize(
    ("reason", "look", "tried", "expected"),
    [
        ("status", None, (), "run_hook:tidy"),
        ("status", None, ("run_hook:tidy",), RESTART),
        ("status", None, ("run_hook:tidy", RESTART), f"{RESTART}-2"),
        ("status", None, ("run_hook:tidy", RESTART, f"{RESTART}-2"), Reason.NOTHING_LEFT),
        ("status", ("ok", LOOPS), ("run_hook:tidy",), Reason.CRASH_LOOP),
        ("status", ("ok", LOOPS), (), "run_hook:tidy"),
        ("refused", ("ok", PAUSED), (), Reason.ACTION_IMPOSSIBLE),
        ("refused", ("unreachable", RUNS), (), Reason.NOTHING_LEFT),
        ("refused", ("unreachable", OFF), (), Reason.SERVER_OFF),
    ],
)
def test_the_steps_of_a_playbook_are_tried_in_their_order(
    reason: str, look: tuple[str, dict[str, JSON]] | None, tried: tuple[str, ...], expected: str | Reason
) -> None:
    found = next_step(facts(reason, look, *tried, playbook=OWN), NOW)
    assert (found.name if isinstance(found, Step) else found.reason) == expected


def test_a_step_carries_what_holds_for_it_alone() -> None:
    found = next_step(facts("status", None, playbook=OWN), NOW)
    assert isinstance(found, Step)
    assert (found.action, found.hook, found.mode) == ("run_hook", "tidy", Mode.APPROVE)
    assert found.why == "status: why: run hook tidy"


def test_a_playbook_without_steps_leaves_it_to_a_human() -> None:
    found = next_step(facts("status", None, playbook=Playbook("calm")), NOW)
    assert found == Stop(Reason.FOR_A_HUMAN, "playbook calm leaves what answers wrongly to a human")


def test_what_was_abandoned_before_anything_was_touched_counts_as_no_try_and_leaves_the_look_valid() -> None:
    withdrawn = attempt(1, RESTART, stage=Stage.ABANDONED, acted_at=None, finished_at=NOW)
    looked = facts("refused", ("ok", LOOPS))
    found = next_step(replace(looked, history=(withdrawn,)), NOW)
    assert isinstance(found, Stop)
    assert found.reason is Reason.CRASH_LOOP
    touched = replace(withdrawn, stage=Stage.FAILED, acted_at=NOW)
    assert next_step(replace(looked, history=(touched,)), NOW) == Step(LOOK, None)


def test_what_comes_back_from_a_human_is_looked_at_first() -> None:
    with_a_human = facts("status", None)
    given = replace(with_a_human, incident=replace(with_a_human.incident, state=State.NEEDS_HUMAN))
    assert next_step(given, NOW) == Step(LOOK, None)


@pytest.mark.parametrize(
    ("ssh", "evidence", "said"),
    [
        (
            "ok",
            EXITED | {"port": {"host": "x", "port": 443, "state": "silent"}},
            "no answer on port 443; SSH works; container nginx exited with code 137 (killed for its memory)",
        ),
        (
            "ok",
            container(health="unhealthy") | RUNS | {"port": {"host": "x", "port": 80, "state": "open"}},
            "port 80 is open; SSH works; container nginx runs, its health check says unhealthy",
        ),
        (
            "unreachable",
            RUNS | {"port": {"host": "x", "port": 80, "state": "refused"}},
            "port 80 refuses connections; no SSH; its Linode is running",
        ),
        ("timeout", OFF, "no SSH; its Linode is switched off"),
        ("auth", {}, "SSH fails (auth)"),
        (
            "local",
            container(status="restarting", restart_count=7, exit_code=1),
            (
                "Docker of this machine; container nginx is restarted by Docker again and again"
                " (7 times, last exit code 1)"
            ),
        ),
        (
            "local",
            container(restart_count=4, started_at=STARTED_NOW),
            "Docker of this machine; container nginx is restarted by Docker again and again (4 times)",
        ),
        (
            "ok",
            {"container": None, "problems": ["there is no container"]},
            "SSH works; there is no container",
        ),
        ("ok", {"container": "nonsense", "port": 5, "linode": [], "problems": None}, "SSH works"),
    ],
)
def test_what_was_found_is_told_in_a_sentence(ssh: str, evidence: dict[str, JSON], said: str) -> None:
    assert sentence(read(Look(NOW, ssh, evidence))) == said


def test_a_decision_says_why_and_what_is_done() -> None:
    found = next_step(facts("refused", ("ok", EXITED)), NOW)
    assert isinstance(found, Step)
    assert found.why == (
        "refused: why; SSH works; container nginx exited with code 137 (killed for its memory):"
        " restart the container"
    )


def test_a_wait_of_a_step_replaces_the_cooldown_after_it() -> None:
    given = facts("status", None, playbook=OWN)
    ended = NOW - 100
    short = replace(given, history=(attempt(1, RESTART, finished_at=ended),))
    assert isinstance(cooldown(short, Step(RESTART, RESTART), NOW), Allow)
    long = replace(given, history=(attempt(1, f"{RESTART}-2", finished_at=ended),))
    verdict = cooldown(long, Step(RESTART, RESTART), NOW)
    assert isinstance(verdict, WaitUntil)
    assert verdict.until == ended + 600
    other_site = replace(long, history=(replace(long.history[0], site="shop"),))
    assert isinstance(cooldown(other_site, Step(RESTART, RESTART), NOW), Allow)


SITES = """
servers: {web: {ssh: medic@198.51.100.1, linode: 7, may_reboot: true}}
playbooks:
  own:
    answers_wrongly:
      - {action: run_hook, hook: tidy, mode: approve}
      - restart_container
      - {action: restart_container, attempts: 2, wait: 10m}
      - {action: run_hook, hook: tidy}
    does_not_answer: [restart_container]
sites:
  - {name: www, url: "http://127.0.0.1:1/", recover: {server: web, container: nginx, playbook: own}}
  - {name: shop, url: "http://127.0.0.1:1/", recover: {server: web, container: shop}}
  - {name: blog, url: "http://127.0.0.1:1/"}
"""


def policy(folder: Path, text: str = SITES) -> Policy:
    (folder / "sites.yml").write_text(text)
    return policy_of(load(folder / "sites.yml", (EXPORTER, SERVERS, PART)), Timing())


def test_playbooks_of_the_file_become_values_with_names_of_their_own(tmp_path: Path) -> None:
    found = policy(tmp_path)
    own = found.sites["www"].playbook
    assert [(one.name, one.at_most, one.wait, one.hook) for one in own.answers_wrongly] == [
        ("run_hook:tidy", 1, None, "tidy"),
        ("restart_container", 1, None, None),
        ("restart_container-2", 2, 600.0, None),
        ("run_hook-2:tidy", 1, None, "tidy"),
    ]
    assert own.answers_wrongly[0].mode is Mode.APPROVE
    assert [one.name for one in own.does_not_answer] == ["restart_container"]
    assert found.sites["shop"].playbook is found.sites["blog"].playbook is BUILT_IN


def test_a_playbook_named_default_replaces_the_built_in_one(tmp_path: Path) -> None:
    replaced = policy(tmp_path, SITES + "\n").sites["shop"].playbook
    assert replaced.built_in
    text = SITES.replace("playbooks:\n", "playbooks:\n  default: {answers_wrongly: [restart_container]}\n")
    shop = policy(tmp_path, text).sites["shop"].playbook
    assert (shop.built_in, shop.does_not_answer) == (False, ())


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("playbook: own", "playbook: owm", "there is no playbook 'owm' (did you mean 'own'?)"),
        (
            "[restart_container]",
            "[restart_contaner]",
            "no action 'restart_contaner' (did you mean 'restart_c",
        ),
        ("hook: tidy}", "hook: ../tidy}", "must be a hook's name"),
        ("[restart_container]", "[run_hook]", "run_hook needs hook: the name of one of the server's hooks"),
        ("wait: 10m", "hook: tidy", "hook belongs to run_hook, not to restart_container"),
        ("mode: approve", "mode: auto", "mode: auto allows nothing that the site forbids"),
        ("attempts: 2", "attempts: 0", "should be greater than or equal to 1"),
        ("attempts: 2, ", "atempts: 2, ", "unknown key (did you mean 'attempts'?)"),
        ("      - restart_container", "      - reboot_linode", "never where the site answers"),
    ],
)
def test_a_faulty_playbook_is_told_with_its_mend(tmp_path: Path, old: str, new: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        policy(tmp_path, SITES.replace(old, new, 1))
    assert told in str(caught.value)


def test_an_attempt_begun_under_another_playbook_goes_on_only_where_its_step_is_still_there(
    tmp_path: Path,
) -> None:
    own = policy(tmp_path)
    found = still_wanted(attempt(1, "run_hook:tidy"), ACTIONS, own)
    assert not isinstance(found, Withdrawn)
    assert (found[0].name, found[1].hook) == ("run_hook", "tidy")
    edited = policy(tmp_path, SITES.replace("hook: tidy", "hook: clean"))
    for gone in ("run_hook:tidy", "run_hook-2:tidy", "boot_linode"):
        withdrawn = still_wanted(attempt(1, gone), ACTIONS, edited)
        assert isinstance(withdrawn, Withdrawn)
        assert withdrawn.reason == "step_gone"
    other_deed = attempt(1, "restart_container", action="reboot_linode")
    assert isinstance(still_wanted(other_deed, ACTIONS, own), Withdrawn)
    moved = policy(tmp_path, SITES.replace("container: nginx", "container: apache"))
    assert still_wanted(attempt(1, "restart_container"), ACTIONS, moved) == Withdrawn(
        "target_gone", "sites.yml names another server or container by now"
    )


def test_the_last_check_knows_the_target_of_a_hook_as_the_sites_own(tmp_path: Path) -> None:
    own, hook = policy(tmp_path), attempt(1, "run_hook:tidy")
    soon = hook.created_at + 1
    found = still_wanted(hook, ACTIONS, own)
    assert not isinstance(found, Withdrawn)
    assert before_the_act(hook, found[1], own, Said(), soon, 60.0, yes=True) is None
    moved = policy(tmp_path, SITES.replace("container: nginx", "container: apache"))
    assert before_the_act(hook, found[1], moved, Said(), soon, 60.0, yes=True) is not None


@pytest.mark.parametrize(
    ("approval", "others", "yes"),
    [
        ({}, (), True),
        ({}, (attempt(2, RESTART, created_at=NOW - 40),), False),  # used up by that one
        ({}, (attempt(2, RESTART, created_at=NOW - 90),), True),  # that one was before it
        ({}, (attempt(2, REBOOT, created_at=NOW - 40),), True),
        ({}, (attempt(2, RESTART, created_at=NOW - 40, incident_id=9),), True),
        ({"step": REBOOT}, (), False),
        ({"answer": Answer.DENIED}, (), False),
        ({"answer": Answer.WITHDRAWN}, (), False),
        ({"answered_at": NOW - 5}, (), False),  # after it was decided
        ({"expires_at": NOW - 31}, (), False),
    ],
)
def test_an_approval_is_for_the_attempt_that_was_decided_on_it(
    approval: dict[str, object], others: tuple[Attempt, ...], yes: bool
) -> None:
    own = attempt(1, RESTART, created_at=NOW - 30)
    said = Approval(1, 1, RESTART, RESTART, "", NOW - 80, Answer.APPROVED, "Ann", NOW - 60, NOW + 900)
    given = replace(said, **approval)  # type: ignore[arg-type]
    assert was_approved(own, [given], [*others, own]) is yes


@pytest.mark.parametrize(
    ("mode", "yes", "reason"),
    [
        ("auto", False, None),
        ("approve", True, None),
        ("approve", False, "approval_needed"),
        ("observe", True, "observe_mode"),
    ],
)
def test_the_mode_is_asked_again_right_before_the_act(
    tmp_path: Path, mode: str, yes: bool, reason: str | None
) -> None:
    own = policy(tmp_path, SITES.replace("container: nginx", f"container: nginx, mode: {mode}"))
    deed = attempt(1, RESTART)
    found = still_wanted(deed, ACTIONS, own)
    assert not isinstance(found, Withdrawn)
    withdrawn = before_the_act(deed, found[1], own, Said(), deed.created_at + 1, 60.0, yes=yes)
    assert (withdrawn.reason if withdrawn else None) == reason


def test_a_step_that_the_outage_has_outgrown_is_withdrawn() -> None:
    known = Policy({"www": SitePolicy("www", "www", playbook=BUILT_IN)})
    answers = Probe("www", success=False, time=NOW, reason="status", detail="502")
    silent, foreign = replace(answers, reason="timeout"), replace(answers, reason="dns")
    assert other_outage(attempt(1, REBOOT), silent, known) is None
    assert other_outage(attempt(1, RESTART), answers, known) is None
    for step, probe in ((REBOOT, answers), (BOOT, answers), (RESTART, foreign)):
        assert isinstance(other_outage(attempt(1, step), probe, known), Withdrawn)


@pytest.mark.parametrize(
    ("step", "kind", "ssh", "evidence", "reason"),
    [
        (RESTART, Kind.ANSWERS_WRONGLY, "ok", EXITED, None),
        (RESTART, Kind.ANSWERS_WRONGLY, "ok", LOOPS, "crash_loop"),
        (RESTART, Kind.ANSWERS_WRONGLY, "ok", NO_DOCKER, "cannot_tell"),
        (RESTART, Kind.DOES_NOT_ANSWER, "ok", PAUSED, "action_impossible"),
        (REBOOT, Kind.DOES_NOT_ANSWER, "unreachable", RUNS, None),
        (REBOOT, Kind.DOES_NOT_ANSWER, "unreachable", OFF, "server_off"),
        (REBOOT, Kind.DOES_NOT_ANSWER, "auth", RUNS, "server_answers"),
        (REBOOT, Kind.ANSWERS_WRONGLY, "unreachable", RUNS, "cannot_tell"),
        (BOOT, Kind.DOES_NOT_ANSWER, "unreachable", OFF, None),
        (BOOT, Kind.DOES_NOT_ANSWER, "unreachable", RUNS, "nothing_left"),
        (BOOT, Kind.DOES_NOT_ANSWER, "ok", OFF, "server_answers"),
    ],
)
def test_the_look_right_before_the_act_has_the_last_word(
    step: str, kind: Kind, ssh: str, evidence: dict[str, JSON], reason: str | None
) -> None:
    target = Target("www", ALL, container="nginx")
    withdrawn = by_the_look(attempt(1, step), kind, Look(NOW, ssh, evidence), target)
    assert (None if withdrawn is None else withdrawn.reason) == reason
