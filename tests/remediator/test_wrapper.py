"""What the wrapper lets through, on each shell that servers have, and what it does not."""

import json
import re
import shutil
import string
import subprocess
import threading
import time
from pathlib import Path

import pytest

from core.servers.server import ActionError, CommandResult, Reason
from core.servers.ssh import command_line
from remediator.on_server import docker, wrapper
from tests.remediator.hostile_commands import COMPOSE, FOREIGN_ID, TABLE, TOKEN, allowed_after_all, mutations
from tests.remediator.wrapped import Wrapped, shells
from tests.waiting import until

SHELLS = [
    pytest.param(words, id=Path(words[0]).name, marks=[] if number == 0 else [pytest.mark.full])
    for number, words in enumerate(shells())
]
ID, OTHER_ID = "a" * 64, "b" * 64
WEB = '"shop" "web" ""'


@pytest.fixture(params=SHELLS)
def wrapped(request: pytest.FixtureRequest, tmp_path: Path) -> Wrapped:
    found = Wrapped(tmp_path / "w", shell=request.param)
    found.fake_docker()
    found.allow("# what may be healed here", "container nginx", "", "compose shop/web", "hook reindex")
    found.container("nginx")
    found.container("shop-web-1", OTHER_ID, WEB)
    found.container("secret", FOREIGN_ID, '"other" "db" ""')
    return found


def did(wrapped: Wrapped) -> list[str]:
    """Return what Docker was asked, but for the wrapper's own look at who a container is."""
    return [line for line in wrapped.ledger if line != "(who is it)"]


@pytest.mark.parametrize(
    ("command", "asked"),
    [
        (docker.restart_argv("nginx", 10), f"restart -t 10 {ID}"),
        (docker.restart_argv("nginx", 0), f"restart -t 0 {ID}"),
        (docker.restart_argv("shop-web-1", 300), f"restart -t 300 {OTHER_ID}"),
        (docker.start_argv("nginx"), f"start {ID}"),
        (docker.start_argv("shop-web-1"), f"start {OTHER_ID}"),
        (docker.logs_argv("nginx"), f"logs --timestamps --tail 20 {ID}"),
        (docker.logs_argv("shop-web-1", 5), f"logs --timestamps --tail 5 {OTHER_ID}"),
        (docker.find_argv("shop", "web"), f"ps --all --quiet --no-trunc {' '.join(COMPOSE)}"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_the_remediator_runs_is_let_through_for_what_is_allowed(
    wrapped: Wrapped, command: list[str], asked: str
) -> None:
    done = wrapped.run(command_line(command))
    assert (done.returncode, done.stderr) == (0, "")
    assert did(wrapped) == [asked]


@pytest.mark.parametrize("names", [("nginx",), ("shop-web-1",), (OTHER_ID,), (OTHER_ID, "nginx")])
def test_an_inspect_gives_the_facts_of_allowed_containers(wrapped: Wrapped, names: tuple[str, ...]) -> None:
    done = wrapped.run(command_line(docker.inspect_argv(names)))
    known = {"nginx": "nginx", "shop-web-1": "shop-web-1", OTHER_ID: "shop-web-1"}
    assert json.loads(done.stdout) == [{"Name": f"/{known[name]}"} for name in names]
    assert done.returncode == 0


@pytest.mark.parametrize(
    "command",
    [
        "docker restart -t 10 secret",
        f"docker restart -t 10 {FOREIGN_ID}",
        "docker start secret",
        "docker logs --timestamps --tail 20 secret",
        "docker inspect --type container secret",
        f"docker inspect --type container {FOREIGN_ID}",
        f"docker inspect --type container {OTHER_ID} {FOREIGN_ID}",
        f"docker inspect --type container {ID}",  # by name only: no service of compose
        f"docker ps --all --quiet --no-trunc {' '.join(COMPOSE).replace('shop', 'other')}",
    ],
)
def test_what_is_not_on_the_list_is_refused_with_the_line_to_add(wrapped: Wrapped, command: str) -> None:
    done = wrapped.run(command)
    assert (done.returncode, done.stdout) == (126, "")
    assert did(wrapped) == []
    asked = "other/web" if "ps" in command.split() else command.split()[-1]
    assert f"{asked}' to {wrapped.folder}/etc/allowed" in done.stderr


def test_a_piece_of_an_id_is_no_name(wrapped: Wrapped) -> None:
    wrapped.allow("container cafe")
    wrapped.container("secret", FOREIGN_ID)
    (wrapped.folder / "containers" / "cafe").write_text(f'{FOREIGN_ID} /secret "" "" ""\n{{}}\n')
    done = wrapped.run("docker restart -t 10 cafe")
    assert (done.returncode, done.stderr) == (1, "Error: No such container: cafe\n")
    assert did(wrapped) == []


def test_a_one_off_of_a_service_is_shown_and_not_touched(wrapped: Wrapped) -> None:
    wrapped.container("shop-web-run-1", "d" * 64, '"shop" "web" "True"')
    assert wrapped.run(f"docker inspect --type container {'d' * 64}").returncode == 0
    done = wrapped.run("docker restart -t 10 shop-web-run-1")
    assert done.returncode == 126
    assert did(wrapped) == []


@pytest.mark.parametrize(
    "labels",
    ['"shop" "webx" ""', '"shop\\" \\"web" "x" ""', '"xshop" "web" ""', '"" "" ""', '"shop" "" "web"'],
)
def test_labels_must_be_those_of_the_service_to_the_letter(wrapped: Wrapped, labels: str) -> None:
    wrapped.container("alike", "e" * 64, labels)
    assert wrapped.run("docker restart -t 10 alike").returncode == 126
    assert did(wrapped) == []


def strange(command: str) -> bool:
    """Tell whether a command is refused for its characters, before it is cut into words."""
    known = set(string.ascii_letters + string.digits + "_.:=/@- ")
    return not set(command) <= known and len(command.encode()) <= 8192


@pytest.mark.parametrize("shell", SHELLS)
def test_no_hostile_command_of_the_table_reaches_docker(tmp_path: Path, shell: tuple[str, ...]) -> None:
    wrapped = Wrapped(tmp_path / "w", shell=shell)
    wrapped.fake_docker()
    wrapped.allow("container nginx", "compose shop/web", "hook reindex")
    wrapped.container("nginx")
    wrapped.hook("reindex", f"touch {tmp_path}/ran")
    passed = []
    for command in TABLE:
        if "\x00" in command:
            continue  # no environment can hold it
        done = wrapped.run(command)
        told = "a character that no command" in done.stderr
        if done.returncode not in (1, 126) or done.stdout or did(wrapped) or told != strange(command):
            passed.append((command, done))
    assert not passed
    assert not (tmp_path / "ran").exists()
    assert not list((wrapped.folder / "state").iterdir())


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    "number", [120, pytest.param(1500, marks=[pytest.mark.full, pytest.mark.timeout(600)])]
)
def test_no_mutation_of_a_real_command_gets_through(
    tmp_path: Path, shell: tuple[str, ...], number: int
) -> None:
    wrapped = Wrapped(tmp_path / "w", shell=shell)
    wrapped.fake_docker()
    wrapped.allow("container nginx", "hook reindex", "compose shop/web")
    wrapped.container("nginx")
    wrapped.container("secret", FOREIGN_ID, '"other" "db" ""')
    seen, refused = 0, 0
    for command in mutations(number):
        if allowed_after_all(command):
            continue
        done = wrapped.run(command)
        assert done.returncode in (1, 126), (command, done)
        assert done.stdout == "", command
        refused += done.returncode == 126
        seen += 1
    assert did(wrapped) == []
    assert refused > seen * 0.8 > number * 0.6


@pytest.mark.parametrize(
    "environment",
    [
        {"LC_ALL": "en_US.UTF-8"}, {"IFS": "/"}, {"ENV": "/tmp/evil"}, {"DOCKER_HOST": "tcp://203.0.113.1:1"},
        {"PATH": "/tmp/evil"}, {"PS4": "$(id)"}, {"DOCKER_CONFIG": "/tmp/evil"},
    ],
    ids=lambda one: next(iter(one)),
)  # fmt: skip
def test_the_environment_changes_nothing(
    wrapped: Wrapped, environment: dict[str, str], tmp_path: Path
) -> None:
    program = wrapped.folder / "bin" / "docker"
    program.write_text(program.read_text() + f"\nenv >>{tmp_path}/seen\n")
    done = wrapped.run("docker start nginx", environment=environment)
    assert done.returncode == 0
    assert did(wrapped) == [f"start {ID}"]
    seen = (tmp_path / "seen").read_text()
    for name, value in environment.items():
        assert f"{name}={value}\n" not in seen


def test_a_list_that_others_could_write_allows_nothing(wrapped: Wrapped) -> None:
    wrapped.allowed.chmod(0o666)
    done = wrapped.run("docker start nginx")
    assert done.returncode == 126
    assert "not writable by others" in done.stderr
    wrapped.allowed.unlink()
    assert wrapped.run("docker start nginx").returncode == 126
    assert wrapped.ledger == []


def test_without_docker_it_says_so(wrapped: Wrapped) -> None:
    (wrapped.folder / "bin" / "docker").unlink()
    for name in ("find", "tr", "env"):
        (wrapped.folder / "bin" / name).symlink_to(str(shutil.which(name)))
    text = re.sub(r"\nPATH=\S+\n", f"\nPATH={wrapped.folder / 'bin'}\n", wrapped.file.read_text())
    wrapped.file.write_text(text)
    done = wrapped.run("docker start nginx")
    assert (done.returncode, "docker: not found" in done.stderr) == (127, True)


def test_a_docker_elsewhere_is_named_in_the_list(wrapped: Wrapped, tmp_path: Path) -> None:
    program = wrapped.folder / "bin" / "docker"
    program.write_text(program.read_text() + f'\necho "$DOCKER_HOST" >>{tmp_path}/seen\n')
    wrapped.allow("container nginx", "docker_host unix:///run/user/1000/docker.sock")
    assert wrapped.run("docker start nginx").returncode == 0
    assert (tmp_path / "seen").read_text().split() == ["unix:///run/user/1000/docker.sock"] * 2


def test_check_tells_the_version_what_is_allowed_and_what_is_wrong(wrapped: Wrapped) -> None:
    wrapped.hook("reindex", "true")
    wrapped.hook("open", "true", 0o777)
    wrapped.allow(
        "container nginx", "compose shop/web", "hook reindex", "hook open", "hook gone", "container -x",
        "compose shop", "compose a/b/c", "vm 7", "container a b", "docker_host unix:///d.sock",
    )  # fmt: skip
    done = wrapped.run("sitemedic-wrapper check")
    result = CommandResult(done.returncode, done.stdout, done.stderr)
    told = wrapper.ask(Answering(result), "web-1")
    assert told is not None
    assert told.version == wrapper.VERSION
    assert told.lines == {"container nginx", "compose shop/web", "hook reindex", "docker_host unix:///d.sock"}
    assert [fault.partition(":")[0] for fault in told.faults] == [
        "hook open", "hook gone", "container -x", "compose shop", "compose a/b/c", "vm 7", "container a",
    ]  # fmt: skip


def test_a_refusal_is_a_permanent_error_in_the_wrappers_words(wrapped: Wrapped) -> None:
    done = wrapped.run("docker restart -t 10 secret")
    result = CommandResult(done.returncode, done.stdout, done.stderr)
    error = docker.failure(result, "docker restart", "web-1")
    assert (error.reason, error.permanent) == (Reason.NOT_ALLOWED, True)
    assert error.message == (
        "the wrapper on web-1 refuses it: container secret is not allowed here: "
        f"add the line 'container secret' to {wrapped.folder}/etc/allowed"
    )


def test_a_wrapper_that_is_there_and_not_in_force_is_none(wrapped: Wrapped) -> None:
    done = wrapped.run(None, "check")
    assert "not in force" in done.stderr
    assert wrapper.ask(Answering(CommandResult(done.returncode, done.stdout, done.stderr)), "web-1") is None


@pytest.mark.parametrize("answer", [(127, "", "sh: sitemedic-wrapper: not found"), (126, "", "")])
def test_a_server_without_a_wrapper_has_none(answer: tuple[int, str, str]) -> None:
    assert wrapper.ask(Answering(CommandResult(*answer)), "web-1") is None


def test_another_forced_command_is_told() -> None:
    with pytest.raises(ActionError) as caught:
        wrapper.ask(Answering(CommandResult(0, "Welcome!\n", "")), "web-1")
    assert "authorized_keys" in caught.value.message


def test_a_hook_runs_once_for_a_token_however_often_it_is_asked(wrapped: Wrapped, tmp_path: Path) -> None:
    wrapped.hook("reindex", f"echo x >>{tmp_path}/runs; echo done")
    answers: list[str] = []
    askers = [
        threading.Thread(target=lambda: answers.append(wrapped.run(f"sitemedic-hook reindex {TOKEN}").stdout))
        for _ in range(8)
    ]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert sorted(answers) == ["already\n"] * 7 + ["started\n"]
    ask = f"sitemedic-wrapper hook-ran reindex {TOKEN}"
    until(lambda: wrapped.run(ask).stdout == "ended 0\ndone\n", 20, "the hook's end")
    assert wrapped.run(f"sitemedic-hook reindex {TOKEN}").stdout == "already\n"
    assert (tmp_path / "runs").read_text() == "x\n"
    other = "f" * 32
    assert wrapped.run(f"sitemedic-hook reindex {other}").stdout == "started\n"
    until(lambda: (tmp_path / "runs").read_text() == "x\nx\n", 20, "the second token's run")


def test_a_token_that_was_asked_for_before_it_ran_never_runs(wrapped: Wrapped, tmp_path: Path) -> None:
    wrapped.hook("reindex", f"touch {tmp_path}/ran")
    ask = f"sitemedic-wrapper hook-ran reindex {TOKEN}"
    assert [wrapped.run(ask).stdout, wrapped.run(ask).stdout] == ["never\n", "never\n"]
    assert wrapped.run(f"sitemedic-hook reindex {TOKEN}").stdout == "already\n"
    assert wrapped.run(ask).stdout == "never\n"
    assert not (tmp_path / "ran").exists()


def test_a_hook_that_runs_is_said_to_and_its_status_told(wrapped: Wrapped, tmp_path: Path) -> None:
    wrapped.hook("reindex", f"until [ -e {tmp_path}/go ]; do sleep 0.05; done; echo why >&2; exit 3")
    begun = time.monotonic()
    assert wrapped.run(f"sitemedic-hook reindex {TOKEN}").stdout == "started\n"
    ask = f"sitemedic-wrapper hook-ran reindex {TOKEN}"
    assert wrapped.run(ask).stdout == "running\n"
    assert time.monotonic() - begun < 20  # nobody waits for it
    (tmp_path / "go").touch()
    until(lambda: wrapped.run(ask).stdout == "ended 3\nwhy\n", 20, "the hook's end")


def test_a_hook_that_says_much_lives_and_little_is_kept(wrapped: Wrapped, tmp_path: Path) -> None:
    wrapped.hook("reindex", f"head -c 3000000 /dev/zero | tr '\\0' x; touch {tmp_path}/end")
    wrapped.run(f"sitemedic-hook reindex {TOKEN}")
    until((tmp_path / "end").exists, 20, "the hook's end")
    ask = f"sitemedic-wrapper hook-ran reindex {TOKEN}"
    until(lambda: wrapped.run(ask).stdout.startswith("ended 0\nx"), 20, "its status")
    assert len(wrapped.run(ask).stdout) <= 4096 + 10
    assert (wrapped.folder / "state" / f"reindex.{TOKEN}" / "output").stat().st_size == 16384


def test_a_hook_that_does_not_end_is_ended(wrapped: Wrapped) -> None:
    wrapped.file.write_text(wrapped.file.read_text().replace("hook_seconds=300", "hook_seconds=1"))
    wrapped.hook("reindex", "sleep 1000")
    wrapped.run(f"sitemedic-hook reindex {TOKEN}")
    ask = f"sitemedic-wrapper hook-ran reindex {TOKEN}"
    until(lambda: wrapped.run(ask).stdout in ("ended 124\n", "ended 143\n"), 30, "its end")


@pytest.mark.parametrize("wrong", ["writable", "a link", "not executable", "missing", "an open folder"])
def test_a_hook_that_others_could_change_is_not_run(wrapped: Wrapped, tmp_path: Path, wrong: str) -> None:
    wrapped.hook("reindex", f"touch {tmp_path}/ran")
    path = wrapped.folder / "etc" / "hooks" / "reindex"
    if wrong == "a link":
        path.rename(tmp_path / "target")
        path.symlink_to(tmp_path / "target")
    elif wrong == "missing":
        path.unlink()
    elif wrong == "an open folder":
        path.parent.chmod(0o777)
    else:
        path.chmod({"writable": 0o775, "not executable": 0o644}[wrong])
    done = wrapped.run(f"sitemedic-hook reindex {TOKEN}")
    assert (done.returncode, done.stdout) == (126, ""), done
    assert "hook reindex: " in done.stderr
    assert not list((wrapped.folder / "state").iterdir())
    assert not (tmp_path / "ran").exists()


@pytest.mark.needs("shellcheck")
def test_the_wrapper_is_clean() -> None:
    done = subprocess.run(
        ["shellcheck", "-s", "sh", "-o", "quote-safe-variables", str(wrapper.FILE)],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.stdout == ""


def test_the_version_is_the_one_that_is_expected() -> None:
    assert f"\nversion={wrapper.VERSION}\n" in wrapper.FILE.read_text()


class Answering:
    """A connection that gives one answer."""

    def __init__(self, result: CommandResult) -> None:
        self._result = result

    def run(self, argv: object, timeout: float) -> CommandResult:
        return self._result

    def close(self) -> None:
        pass

    def __enter__(self) -> "Answering":
        return self

    def __exit__(self, *_: object) -> None:
        pass
