import errno
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from core.servers import ssh
from core.servers.output import MOST_BYTES
from core.servers.server import ActionError, Reason, SshSettings
from core.servers.ssh import SshConnector, command_line
from tests.ports import free_port
from tests.ssh_server import SshServer, make_key, running_ssh_server
from tests.waiting import until

IN_TIME = 30.0
"""Seconds: a second or two by itself, far less than what is waited for would take."""

pytestmark = pytest.mark.needs("sshd", "ssh-keygen")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    with running_ssh_server(tmp_path_factory.mktemp("ssh")) as server:
        yield server


@pytest.fixture
def server(shared: SshServer) -> SshServer:
    shared.pin()
    return shared


def refused(settings: SshSettings) -> ActionError:
    with pytest.raises(ActionError) as caught:
        SshConnector(settings)
    return caught.value


def test_a_port_on_which_nothing_is_said_is_told_so(
    server: SshServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh, "BANNER_SECONDS", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        error = refused(replace(server.settings, port=silent.getsockname()[1]))
    assert "the port is open, but nothing behind it speaks SSH in time" in error.message
    assert error.reason is Reason.UNREACHABLE


def test_a_command_gives_its_status_and_both_streams(server: SshServer) -> None:
    with SshConnector(server.settings) as connector:
        result = connector.run(["sh", "-c", "echo out; echo err >&2; exit 3"], 10)
    assert (result.exit_status, result.stdout, result.stderr) == (3, "out\n", "err\n")
    assert not result.truncated


def test_several_commands_run_over_one_connection(server: SshServer) -> None:
    with SshConnector(server.settings) as connector:
        assert [connector.run(["echo", str(number)], 10).stdout for number in range(3)] == [
            "0\n",
            "1\n",
            "2\n",
        ]


@pytest.mark.parametrize(
    "word", ["$(touch /tmp/x)", "`id`", "a b", "'", '"', ";reboot", "*", "\n", "--flag", "", "ü$HOME"]
)
def test_no_word_is_read_by_the_servers_shell(server: SshServer, word: str) -> None:
    with SshConnector(server.settings) as connector:
        assert connector.run(["printf", "%s", word], 10).stdout == word
    assert command_line(["docker", "restart", "-t", "10", "nginx"]) == "docker restart -t 10 nginx"


def test_an_unknown_host_key_is_told_with_the_line_that_pins_it(server: SshServer) -> None:
    server.known_hosts_file.write_text("")
    error = refused(server.settings)
    assert (error.reason, error.permanent) == (Reason.HOST_KEY_UNKNOWN, True)
    port, path = server.port, server.known_hosts_file
    assert f"ssh-keyscan -t ed25519 -p {port} 127.0.0.1 >> {path}" in error.message
    shown = subprocess.run(
        ["ssh-keygen", "-lf", str(server.host_key)], capture_output=True, text=True, check=True
    )
    assert shown.stdout.split()[1] in error.message


def test_the_line_that_the_message_tells_mends_it(server: SshServer) -> None:
    server.known_hosts_file.unlink()
    line = refused(server.settings).message.partition("Run: ")[2].partition(" and compare")[0]
    subprocess.run(line, shell=True, check=True, capture_output=True, timeout=20)
    with SshConnector(server.settings) as connector:
        assert connector.run(["true"], 10).exit_status == 0


def test_a_changed_host_key_is_permanent_and_says_so(server: SshServer, tmp_path: Path) -> None:
    other = make_key(tmp_path / "other").with_suffix(".pub").read_text().split()
    server.known_hosts_file.write_text(f"[127.0.0.1]:{server.port} {other[0]} {other[1]}\n")
    error = refused(server.settings)
    assert (error.reason, error.permanent) == (Reason.HOST_KEY_CHANGED, True)
    assert "is not the one we know" in error.message


def test_a_known_host_that_shows_another_kind_of_key_has_changed(server: SshServer, tmp_path: Path) -> None:
    other = make_key(tmp_path / "other", "ecdsa").with_suffix(".pub").read_text().split()
    server.known_hosts_file.write_text(f"[127.0.0.1]:{server.port} {other[0]} {other[1]}\n")
    assert refused(server.settings).reason is Reason.HOST_KEY_CHANGED


def test_the_new_line_below_the_old_one_is_enough(server: SshServer, tmp_path: Path) -> None:
    other = make_key(tmp_path / "other").with_suffix(".pub").read_text().split()
    old = f"[127.0.0.1]:{server.port} {other[0]} {other[1]}\n"
    server.known_hosts_file.write_text(old + server.host_line())
    SshConnector(server.settings).close()


def test_a_key_for_port_22_is_none_for_another_port(server: SshServer) -> None:
    line = server.host_line().replace(f"[127.0.0.1]:{server.port}", "127.0.0.1")
    server.known_hosts_file.write_text(line)
    assert refused(server.settings).reason is Reason.HOST_KEY_UNKNOWN


def test_hashed_names_are_known(server: SshServer) -> None:
    path = server.known_hosts_file
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(path)], check=True, capture_output=True)
    assert path.read_text().startswith("|1|")
    SshConnector(server.settings).close()


def test_a_revoked_key_is_refused_although_it_is_known(server: SshServer) -> None:
    server.known_hosts_file.write_text(server.host_line() + "@revoked " + server.host_line())
    assert refused(server.settings).reason is Reason.HOST_KEY_CHANGED


def test_a_damaged_file_knows_what_is_left_of_it(server: SshServer) -> None:
    damage = "garbage\nhost ssh-ed25519 !!!\n|1|x|y ssh-ed25519 AAAA\n@cert-authority * ssh-ed25519 AAAA\n"
    server.known_hosts_file.write_text(damage + server.host_line())
    SshConnector(server.settings).close()


def test_a_wrong_key_is_told_with_what_to_do(server: SshServer, tmp_path: Path) -> None:
    error = refused(replace(server.settings, key_file=make_key(tmp_path / "wrong")))
    assert (error.reason, error.permanent) == (Reason.AUTH, True)
    assert "authorized_keys" in error.message


def test_a_key_that_cannot_be_used_is_told(server: SshServer, tmp_path: Path) -> None:
    secured = tmp_path / "secured"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", str(secured)], check=True)
    garbage = tmp_path / "garbage"
    garbage.write_text("not a key")
    for path, words in (
        (secured, "passphrase"),
        (garbage, "not a usable"),
        (tmp_path / "none", "cannot read"),
    ):
        error = refused(replace(server.settings, key_file=path))
        assert error.reason is Reason.AUTH
        assert words in error.message
    assert refused(replace(server.settings, key_file=None)).reason is Reason.AUTH


def test_an_rsa_key_lets_us_in(server: SshServer, tmp_path: Path) -> None:
    key = make_key(tmp_path / "rsa", "rsa")
    allowed = server.folder / "authorized_keys"
    before = allowed.read_text()
    allowed.write_text(before + key.with_suffix(".pub").read_text())
    try:
        SshConnector(replace(server.settings, key_file=key)).close()
    finally:
        allowed.write_text(before)


def test_nobody_listening_is_unreachable(server: SshServer) -> None:
    error = refused(replace(server.settings, port=free_port()))
    assert (error.reason, error.permanent) == (Reason.UNREACHABLE, False)
    assert "refused" in error.message


def test_a_name_that_cannot_be_resolved_is_no_word_about_the_server(server: SshServer) -> None:
    assert refused(replace(server.settings, host="nowhere.invalid")).reason is Reason.CANNOT_TELL


def test_our_own_lack_of_descriptors_is_no_word_about_the_server(
    server: SshServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left(*_: object, **__: object) -> socket.socket:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(ssh.socket, "create_connection", none_left)
    assert refused(server.settings).reason is Reason.CANNOT_TELL


def test_a_server_with_which_we_find_no_cipher_lives(
    server: SshServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh.paramiko.Transport, "_preferred_ciphers", ("aes128-cbc",))
    assert refused(server.settings).reason is Reason.CANNOT_TELL


def test_a_frozen_server_is_unreachable_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh, "BANNER_SECONDS", 1.0)
    with running_ssh_server(tmp_path) as server:
        server.freeze()
        begin = time.monotonic()
        assert refused(server.settings).reason is Reason.UNREACHABLE
        assert time.monotonic() - begin < 9  # it would be ten


def test_a_command_that_does_not_end_is_given_up_in_time(server: SshServer) -> None:
    with SshConnector(server.settings) as connector:
        begin = time.monotonic()
        with pytest.raises(ActionError) as caught:
            connector.run(["sleep", "60"], 1)
    assert caught.value.reason is Reason.TIMEOUT
    assert time.monotonic() - begin < IN_TIME


def test_a_server_that_freezes_after_the_connection_is_given_up_in_time(tmp_path: Path) -> None:
    with running_ssh_server(tmp_path) as server, SshConnector(server.settings) as connector:
        server.freeze()
        begin = time.monotonic()
        with pytest.raises(ActionError):
            connector.run(["true"], 1)
        assert time.monotonic() - begin < IN_TIME


def test_endless_output_is_drained_and_cut(server: SshServer) -> None:
    with SshConnector(server.settings) as connector:
        result = connector.run(["sh", "-c", "head -c 20000000 /dev/zero; head -c 3000000 /dev/zero >&2"], 60)
    assert result.exit_status == 0
    assert result.truncated
    assert (len(result.stdout), len(result.stderr)) == (MOST_BYTES, MOST_BYTES)


def test_what_a_command_leaves_behind_does_not_hold_us(server: SshServer) -> None:
    with SshConnector(server.settings) as connector:
        begin = time.monotonic()
        assert connector.run(["sh", "-c", "sleep 60 & echo done"], 10).stdout == "done\n"
        assert time.monotonic() - begin < IN_TIME


def test_a_connection_cut_on_the_way_is_an_unknown_outcome(tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    with running_ssh_server(tmp_path / "ssh") as server, SshConnector(server.settings) as connector:

        def cut() -> None:
            until(begun.exists, 10, "the command")
            server.cut()

        thread = threading.Thread(target=cut)
        thread.start()
        result = connector.run(["sh", "-c", f"touch {begun}; sleep 5"], 20)
        thread.join()
        assert result.exit_status == -1
        with pytest.raises(ActionError) as caught:
            connector.run(["true"], 5)
        assert caught.value.reason is Reason.UNREACHABLE


def test_a_server_given_a_new_key_is_refused_until_it_is_pinned(tmp_path: Path) -> None:
    with running_ssh_server(tmp_path) as server:
        SshConnector(server.settings).close()
        server.change_host_key()
        assert refused(server.settings).reason is Reason.HOST_KEY_CHANGED
        server.pin()
        SshConnector(server.settings).close()
