import time

import pytest

from core.servers import connect
from core.servers.local import LocalConnector
from core.servers.output import MOST_BYTES
from core.servers.server import ActionError, Reason, Server


def test_a_local_server_runs_commands_here() -> None:
    with connect(Server("here", local=True)) as connector:
        result = connector.run(["sh", "-c", "echo out; echo err >&2; exit 3"], 10)
    assert (result.exit_status, result.stdout, result.stderr) == (3, "out\n", "err\n")


def test_no_shell_reads_a_word() -> None:
    assert LocalConnector().run(["printf", "%s", "$(id); *"], 10).stdout == "$(id); *"


def test_a_command_that_does_not_end_is_ended() -> None:
    begin = time.monotonic()
    with pytest.raises(ActionError) as caught:
        LocalConnector().run(["sh", "-c", "sleep 60 & sleep 60"], 0.5)
    assert caught.value.reason is Reason.TIMEOUT
    assert time.monotonic() - begin < 30  # not the minute that it would take


def test_a_missing_program_is_told() -> None:
    with pytest.raises(ActionError) as caught:
        LocalConnector().run(["no-such-program-here"], 5)
    assert caught.value.permanent
    assert "not installed" in caught.value.message


def test_endless_output_is_cut() -> None:
    result = LocalConnector().run(["sh", "-c", "head -c 5000000 /dev/zero"], 10)
    assert (result.exit_status, result.truncated, len(result.stdout)) == (0, True, MOST_BYTES)


def test_a_server_without_a_way_in_is_refused() -> None:
    with pytest.raises(ActionError) as caught:
        connect(Server("nowhere"))
    assert caught.value.reason is Reason.NOT_ALLOWED
