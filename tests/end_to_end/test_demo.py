"""The README's first ten minutes: `up` without a sites.yml, the demo broken in each way, Ctrl-C."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.stack import Up, left_behind, run, up

pytestmark = [pytest.mark.needs("prometheus", "prometheus-alertmanager", "sshd"), pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with up(tmp_path_factory.mktemp("demo")) as running:
        yield running


def broken(demo: Up, kind: str) -> str:
    done = run("demo", kind, folder=demo.folder, seconds=150, **demo.environ)
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_up_says_that_it_is_a_demo_and_reaches_everything(demo: Up) -> None:
    assert demo.said.startswith("DEMO")
    assert "Prometheus reaches all of its 5 targets" in demo.said
    assert demo.alerts() == []


def test_an_answer_of_500_is_mailed_and_healed_by_one_restart_within_15_seconds(demo: Up) -> None:
    told = broken(demo, "bad-response")
    action = re.search(r"break → action (\d+(\.\d+)?) s .* new user's defaults: ≤ (\d+) s", told)
    assert action is not None, told
    assert float(action[1]) < 15
    assert float(action[3]) < 120
    newest = demo.incident(demo.incidents()[0]["id"])
    assert [attempt["action"] for attempt in newest["attempts"]] == ["restart_container"]
    assert newest["outcome"] == "healed"


def test_a_hanging_server_is_rebooted_and_its_container_started(demo: Up) -> None:
    told = broken(demo, "unreachable")
    assert "reboot_linode" in told
    newest = demo.incident(demo.incidents()[0]["id"])
    assert [attempt["action"] for attempt in newest["attempts"]] == ["reboot_linode"]


@pytest.mark.full
def test_a_slow_site_is_mailed_and_not_touched(demo: Up) -> None:
    before = len(demo.incidents())
    told = broken(demo, "slow")
    assert "nothing was touched" in told
    assert len(demo.incidents()) == before


@pytest.mark.full
def test_lost_content_is_healed_by_a_restart(demo: Up) -> None:
    assert "restart_container" in broken(demo, "wrong-content")


def test_ctrl_c_leaves_no_process_and_no_open_port(demo: Up) -> None:
    assert demo.interrupt() == 0
    assert left_behind(demo) == []


def test_the_demo_refuses_where_none_runs(tmp_path: Path) -> None:
    done = run("demo", "slow", folder=tmp_path)
    assert done.returncode == 1
    assert "./sitemedic up" in done.stdout
    assert "Traceback" not in done.stdout
