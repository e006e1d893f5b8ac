"""The action of docs/adding-an-action.md is run, so that the page stays true."""

import json
import re
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import pytest

from core.servers.schema import PART as SERVERS
from core.servers.server import ActionError, CommandResult, Reason, Server
from core.sites import load
from exporter.schema import PART as EXPORTER
from remediator import actions
from remediator.configuration import playbook_options
from remediator.configuration.schema import PART, playbooks
from remediator.model.action import Action, Progress, Target, World
from tests.remediator.machine import Machine

PAGE = (Path(__file__).parents[2] / "docs" / "adding-an-action.md").read_text("utf-8")
TARGET = Target("shop", Server("web-1"), container="nginx")


@dataclass
class Engine(Machine):
    """A server whose container, once ended, is started at another time."""

    status: str = "exited"
    starts: int = 0
    lost: bool = False

    def run(self, argv: list[str], timeout: float) -> CommandResult:  # type: ignore[override]
        if argv[:2] == ["docker", "start"]:
            self.starts, self.status = self.starts + 1, "running"
            if self.lost:
                raise ActionError("too long", reason=Reason.TIMEOUT)
        state = {"Status": self.status, "ExitCode": 3, "StartedAt": f"2026-01-0{1 + self.starts}T00:00:00Z"}
        return CommandResult(0, json.dumps([{"Id": "a" * 64, "Name": "/nginx", "State": state}]), "")


@pytest.fixture
def action() -> Iterator[Action]:
    name = "remediator.actions.start_container"
    module = sys.modules[name] = types.ModuleType(name)
    (code,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    exec(compile(code, "docs/adding-an-action.md", "exec"), module.__dict__)
    yield module.StartContainer()
    del sys.modules[name]


def world(engine: Engine) -> World:
    return World(lambda _server: engine, None, lambda: 1.0)  # type: ignore[arg-type, return-value]


def test_the_action_of_the_page_starts_what_has_ended_once(action: Action) -> None:
    engine = Engine()
    marks = action.prepare(TARGET, world(engine))
    assert json.loads(json.dumps(marks)) == marks
    assert action.happened(TARGET, marks, world(engine)) is False
    marks = action.act(TARGET, marks, world(engine))
    assert action.happened(TARGET, marks, world(engine)) is True
    assert action.settle(TARGET, marks, world(engine)).progress is Progress.DONE
    assert engine.starts == 1


def test_the_action_of_the_page_leaves_alone_what_runs_and_tells_what_it_cannot_know(action: Action) -> None:
    with pytest.raises(ActionError) as refused:
        action.prepare(TARGET, world(Engine(status="running")))
    assert refused.value.reason is Reason.NOT_ALLOWED
    cut = Engine(lost=True)
    marks = action.prepare(TARGET, world(cut))
    with pytest.raises(ActionError) as unknown:
        action.act(TARGET, marks, world(cut))
    assert unknown.value.reason is Reason.UNKNOWN
    assert action.happened(TARGET, marks, world(cut)) is True
    cut.status = "exited"
    assert action.settle(TARGET, marks, world(cut)).progress is Progress.FAILED
    cut.up = False
    assert action.happened(TARGET, marks, World(cut.connect, None, lambda: 1.0)) is None


def test_with_its_one_line_in_the_registry_a_playbook_may_name_it(
    action: Action, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = ", ".join(f"{type(one).__name__}()" for one in actions.ACTIONS.values())
    assert f"({known.replace('(), BootLinode', '(), StartContainer(), BootLinode')})" in PAGE
    more = MappingProxyType({**actions.ACTIONS, action.name: action})
    monkeypatch.setattr(playbook_options, "ACTIONS", more)
    (used,) = re.findall(r"## Use it\n\n(.*?)\n\n##", PAGE, re.DOTALL)
    lines = "\n".join(line.removeprefix("    ") for line in used.splitlines())
    site = (
        '{name: www, url: "http://127.0.0.1:1/", recover: {server: web, container: nginx, playbook: gentle}}'
    )
    (tmp_path / "sites.yml").write_text(
        f"servers: {{web: {{ssh: a@198.51.100.1}}}}\n{lines}\nsites: [{site}]\n"
    )
    found = playbooks(load(tmp_path / "sites.yml", (EXPORTER, SERVERS, PART)))["www"]
    assert [one.action for one in found.does_not_answer] == ["start_container", "restart_container"]


PLAYBOOKS = (Path(__file__).parents[2] / "docs" / "playbooks.md").read_text("utf-8")


def test_every_example_of_the_page_about_playbooks_is_valid(tmp_path: Path) -> None:
    examples = re.findall(r"^    playbooks:\n(?:    .*\n)+", PLAYBOOKS, re.MULTILINE)
    assert len(examples) == 6
    for example in examples:
        text = "\n".join(line.removeprefix("    ") for line in example.splitlines())
        servers = "servers: {web-1: {ssh: a@198.51.100.1}}\n"
        sites = "" if "\nsites:" in text else 'sites: [{name: a, url: "http://127.0.0.1:1/"}]\n'
        (tmp_path / "sites.yml").write_text(f"{servers}{text}\n{sites}")
        load(tmp_path / "sites.yml", (EXPORTER, SERVERS, PART))
