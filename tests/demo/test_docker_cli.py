"""The demo's docker command, held to what Docker prints."""

import asyncio
import json
from pathlib import Path

import pytest

from demo.container import Container, LogLine
from demo.docker_cli import Answer, run


@pytest.fixture
def container() -> Container:
    return Container("demo-shop", "127.0.0.1", 8080, Path("/nonexistent"))


def docker(container: Container, *argv: str) -> Answer:
    return asyncio.run(run(argv, container))


def test_ps_without_all_hides_what_does_not_run(container: Container) -> None:
    assert docker(container, "ps", "-q").stdout == ""
    assert docker(container, "ps", "-a", "-q").stdout == container.id[:12] + "\n"


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        (["name=demo"], True),
        (["name=^/demo-shop$"], True),
        (["name=^demo-shop$"], True),
        (["name=^/demo$"], False),
        (["label=com.docker.compose.project=demo", "label=com.docker.compose.service=shop"], True),
        (["label=com.docker.compose.project=demo", "label=com.docker.compose.service=db"], False),
        (["label=com.docker.compose.project"], True),
        (["status=running"], False),
    ],
)
def test_ps_filters_as_docker_does(container: Container, filters: list[str], found: bool) -> None:
    words = [word for one in filters for word in ("--filter", one)]
    answer = docker(container, "ps", "-a", "--no-trunc", *words, "--format", "{{.ID}}\t{{.Names}}")
    assert answer.stdout == (f"{container.id}\tdemo-shop\n" if found else "")


def test_inspect_fills_a_template(container: Container) -> None:
    answer = docker(container, "inspect", "-f", "{{.State.Running}} {{json .State.Status}}", "demo-shop")
    assert answer == Answer(0, 'false "created"\n', "")


def test_inspect_takes_an_id_and_tells_of_what_is_missing(container: Container) -> None:
    answer = docker(container, "inspect", "nope", container.id[:12])
    assert (answer.exit_status, answer.stderr) == (1, "Error: No such object: nope\n")
    assert [one["Id"] for one in json.loads(answer.stdout)] == [container.id]


def test_logs_keep_the_two_streams_apart_and_tail_counts_both(container: Container) -> None:
    for number in range(5):
        stream = "stderr" if number == 3 else "stdout"
        container.logs.append(LogLine("2026-01-01T00:00:00.000000000Z", stream, f"line {number}"))
    assert docker(container, "logs", "--tail", "2", "demo-shop") == Answer(0, "line 4\n", "line 3\n")
    assert docker(container, "logs", "--tail=0", "demo-shop") == Answer(0, "", "")
    assert docker(container, "logs", "nope").stderr == "Error response from daemon: No such container: nope\n"


@pytest.mark.parametrize(
    ("argv", "status", "text"),
    [
        (["rm", "demo-shop"], 1, "docker: 'rm' is not a docker command."),
        ([], 1, "is not a docker command"),
        (["ps", "--frobnicate"], 125, "unknown flag: --frobnicate"),
        (["restart", "-t"], 125, "flag needs an argument: -t"),
        (["restart", "-t", "soon", "demo-shop"], 125, 'invalid argument "soon"'),
        (["restart"], 1, '"docker restart" requires at least 1 argument.'),
        (["ps", "--filter", "colour=red"], 1, "invalid filter 'colour'"),
        (["inspect", "-f", "{{range .X}}", "demo-shop"], 1, "template parsing error"),
    ],
)
def test_what_it_does_not_know_it_refuses(
    container: Container, argv: list[str], status: int, text: str
) -> None:
    answer = docker(container, *argv)
    assert answer.exit_status == status
    assert text in answer.stderr
    assert answer.stdout == ""
