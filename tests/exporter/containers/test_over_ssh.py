"""A server whose wrapper is old, missing, or answers nonsense: what is told, through a real sshd."""

import asyncio
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from exporter.containers.model import Reason, SourceError
from exporter.containers.over_ssh import OverSsh
from exporter.containers.wrapper_answers import failure
from tests.exporter.containers.followed import Followed, following
from tests.remediator.wrapped import Wrapped, shells
from tests.ssh_server import SshServer, running_ssh_server
from tests.waiting import until

pytestmark = pytest.mark.needs("sshd", "ssh-keygen")
SHELLS = [
    pytest.param(words, id=Path(words[0]).name, marks=[] if number == 0 else [pytest.mark.full])
    for number, words in enumerate(shells())
]
OLD = ("show_containers ;;", "show_usage ;;", "show_events ;;", "show_machine ;;")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Wrapped, SshServer]]:
    wrapped = Wrapped(tmp_path_factory.mktemp("wrapper"))
    folder = tmp_path_factory.mktemp("ssh")
    with running_ssh_server(folder, {"HOME": str(folder)}) as server:
        yield wrapped, server


@pytest.fixture
def ssh(running: tuple[Wrapped, SshServer]) -> SshServer:
    wrapped, server = running
    wrapped.allow("watch *")
    server.pin()
    (server.folder / "authorized_keys").write_text(wrapped.line(public(server)))
    return server


def public(server: SshServer) -> str:
    return server.key_file.with_suffix(".pub").read_text()


def forced(server: SshServer, script: str) -> None:
    """Put another program in the wrapper's place."""
    program = server.folder / "program"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    (server.folder / "authorized_keys").write_text(f'restrict,command="{program}" {public(server)}')


def told(server: SshServer, ask: Callable[[OverSsh], Awaitable[object]]) -> SourceError:
    """Return the error of one question."""

    async def run() -> SourceError:
        source = OverSsh("web-1", server.settings, 20)
        try:
            with pytest.raises(SourceError) as caught:
                await ask(source)
        finally:
            await source.close()
        return caught.value

    return asyncio.run(run())


async def stream(source: OverSsh) -> None:
    async for _ in source.events():
        pass


QUESTIONS: list[Callable[[OverSsh], Awaitable[object]]] = [
    lambda source: source.containers(),
    lambda source: source.usage(["a" * 64]),
    lambda source: source.machine(),
    stream,
]
ASK = pytest.mark.parametrize("ask", QUESTIONS, ids=["containers", "usage", "machine", "events"])
ASK_ONE_WAY = pytest.mark.parametrize("ask", [QUESTIONS[0], QUESTIONS[3]], ids=["containers", "events"])


@ASK_ONE_WAY
def test_a_wrapper_that_is_too_old_is_told_with_the_mend(
    running: tuple[Wrapped, SshServer], ssh: SshServer, ask: Callable[[OverSsh], Awaitable[object]]
) -> None:
    file = running[0].file
    now = file.read_text()
    before = "".join(line for line in now.splitlines(True) if not line.rstrip().endswith(OLD))
    file.write_text(before.replace("\nversion=2\n", "\nversion=1\n"))
    try:
        error = told(ssh, ask)
    finally:
        file.write_text(now)
    assert error.reason is Reason.WRAPPER
    assert error.message.endswith("copy the new wrapper: ./sitemedic server setup web-1")


@ASK_ONE_WAY
def test_a_login_without_a_wrapper_is_told_with_the_mend(
    ssh: SshServer, ask: Callable[[OverSsh], Awaitable[object]]
) -> None:
    (ssh.folder / "authorized_keys").write_text(public(ssh))
    error = told(ssh, ask)
    assert (error.reason, "server setup web-1" in error.message) == (Reason.WRAPPER, True)


@ASK
@pytest.mark.full
@pytest.mark.parametrize(
    "said",
    [
        "echo Welcome!",
        "echo sitemedic-wrapper 2; echo nonsense; echo '{}'",
        "echo sitemedic-wrapper 2; echo '{\"Id\": 1}'",
        "echo sitemedic-wrapper 2; head -c 9000000 /dev/zero | tr '\\0' x",
    ],
    ids=["another program", "other words", "another shape", "no end"],
)
def test_an_answer_in_other_words_is_told(
    ssh: SshServer, ask: Callable[[OverSsh], Awaitable[object]], said: str
) -> None:
    forced(ssh, said)
    assert told(ssh, ask).reason is Reason.GARBLED


def test_what_the_server_itself_does_not_let_through_is_told(ssh: SshServer) -> None:
    (ssh.folder / "authorized_keys").write_text("")
    assert told(ssh, QUESTIONS[0]).reason is Reason.REFUSED
    ssh.known_hosts_file.write_text("")
    assert told(ssh, QUESTIONS[0]).reason is Reason.REFUSED
    ssh.pin()


@pytest.mark.parametrize(
    ("status", "said", "reason"),
    [
        (
            1,
            "Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?",
            Reason.ENGINE_DOWN,
        ),
        (1, "permission denied while trying to connect to the Docker daemon socket", Reason.REFUSED),
        (127, "sitemedic-wrapper: docker: not found in /usr/bin", Reason.ENGINE_DOWN),
        (124, "", Reason.TIMEOUT),
        (126, "sitemedic-wrapper: refused: /etc/sitemedic/allowed must be there", Reason.REFUSED),
        (127, "sh: 1: sitemedic-wrapper: not found", Reason.WRAPPER),
        (126, "sitemedic-wrapper: not in force: it belongs before the key", Reason.WRAPPER),
        (1, "something else\x1b[2J", Reason.ENGINE_DOWN),
    ],
)
def test_what_a_command_died_of_has_a_reason_and_a_mend(status: int, said: str, reason: Reason) -> None:
    error = failure("web-1", status, said)
    assert (error.reason, "web-1" in error.message, error.message.isprintable()) == (reason, True, True)


ROWS = (
    ("a" * 64, "nginx", '"" "" ""'),
    ("b" * 64, "nginx-old", '"" "" ""'),
    ("c" * 64, "shop-web-1", '"shop" "web" ""'),
    ("d" * 64, "shop-db-1", '"shop" "db" ""'),
    ("e" * 64, "other/alias,mail", '"" "" ""'),
    ("1" * 64, "forged", '"shop\\" \\"web" "x" ""'),
    ("2" * 64, "x" * 200, '"a b" "c" ""'),
)


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("lines", "shown"),
    [
        (["container nginx"], "a"),
        (["watch nginx*"], "ab"),
        (["watch ngin?"], "a"),
        (["compose shop/web"], "c"),
        (["watch shop/*"], "cd"),
        (["watch */web"], "c"),
        (["watch mail"], "e"),
        (["watch *"], "abcde12"),
        (["watch shop"], ""),
        (["watch $(id)", "watch `id`", "watch ..", "watch a b", "watch nginx;id", "watch"], ""),
        (["hook nginx", "label nginx"], ""),
    ],
)
def test_what_may_be_seen_is_what_the_list_says(
    tmp_path: Path, shell: tuple[str, ...], lines: list[str], shown: str
) -> None:
    wrapped = Wrapped(tmp_path / "w", shell=shell)
    wrapped.allow(*lines)
    rows = "".join(f"{identity} :bridge {name} {labels}\n" for identity, name, labels in ROWS)
    program = wrapped.folder / "bin" / "docker"
    program.write_text(
        "#!/bin/sh\n"
        f"case $1 in ps) cat <<'END'\n{rows}END\n;;\n"
        'inspect) shift 5; for one in "$@"; do echo "$one"; done ;;\nesac\n'
    )
    program.chmod(0o755)
    done = wrapped.run("sitemedic-wrapper containers")
    assert (done.returncode, done.stderr) == (0, "")
    first, *ids = done.stdout.splitlines()
    assert (first, "".join(one[0] for one in ids)) == ("sitemedic-wrapper 2", shown)


@pytest.mark.parametrize("shell", SHELLS)
def test_events_of_others_are_not_passed_on_and_the_end_of_docker_is_the_end(
    tmp_path: Path, shell: tuple[str, ...]
) -> None:
    wrapped = Wrapped(tmp_path / "w", shell=shell)
    wrapped.allow("watch shop/*", "container nginx")
    program = wrapped.folder / "bin" / "docker"
    lines = "".join(f'{name} {labels}\n{{"n":"{identity[0]}"}}\n' for identity, name, labels in ROWS)
    program.write_text(f'#!/bin/sh\ncat <<\'END\'\n{lines}END\nprintf \'nginx "" "" ""\\n{{"cut\'\n')
    program.chmod(0o755)
    with subprocess.Popen(
        [*shell, str(wrapped.file)],
        env={"PATH": "/usr/bin:/bin", "SSH_ORIGINAL_COMMAND": "sitemedic-wrapper events"},
        stdin=subprocess.PIPE,  # it ends with its input
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        told = process.stdout.read()
    assert told.splitlines() == ["sitemedic-wrapper 2", '{"n":"a"}', '{"n":"c"}', '{"n":"d"}']


def test_a_connection_that_nobody_waits_for_any_more_is_closed_when_it_comes(ssh: SshServer) -> None:
    async def run() -> None:
        source = OverSsh("web-1", ssh.settings, 20)
        await asyncio.to_thread(ssh.freeze)
        try:
            task = asyncio.create_task(source.machine())
            await asyncio.to_thread(until, lambda: connections(ssh), 20, "the connection")
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        finally:
            await asyncio.to_thread(ssh.thaw)
        await asyncio.to_thread(until, lambda: not connections(ssh), 30, "its end")
        await source.close()

    asyncio.run(run())


def connections(server: SshServer) -> list[str]:
    """Return the established connections to the server, from our side."""
    place = f"0100007F:{server.port:04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return [row[1] for row in rows if row[2] == place and row[3] == "01"]


def test_a_stream_that_nothing_is_said_on_goes_on(
    running: tuple[Wrapped, SshServer], ssh: SshServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exporter.containers.over_ssh._STEP_SECONDS", 0.1)
    forced(ssh, "echo sitemedic-wrapper 2; read -r _")

    async def run() -> Followed:
        source = OverSsh("web-1", ssh.settings, 20)
        async with following(source) as followed:
            await asyncio.sleep(1)
            assert followed.error is None
            await source.close()
        return followed

    assert asyncio.run(run()).events == []
