"""The exporter's list of sites, read piece by piece."""

import json
import socket
import threading

import pytest

from remediator.clients.exporter import ExporterClient
from remediator.errors import ExporterError
from tests.remediator.doubles import served

SITES = [{"site": "www", "success": False, "reason": "status"}, {"site": "a, ]} b", "success": None}, {}]


def sites_of(answer: str, status: int = 200):
    with served(lambda _path, _query, _body: (status, answer)) as url:
        return ExporterClient(url).sites()


@pytest.mark.parametrize("indent", [None, 2])
def test_every_site_is_read_however_it_is_written(indent):
    found = sites_of(json.dumps({"sites": SITES}, indent=indent) + "\n")
    assert [(one.site, one.success) for one in found.values()] == [("www", False), ("a, ]} b", None)]
    assert found.failing == {"www"}


def test_no_sites_are_no_fault():
    assert sites_of('{"sites": []}') == {}


@pytest.mark.parametrize(
    "answer",
    [
        "", "{}", "[]", '{"sites": null}', '{"sites": [', '{"sites": [{}', '{"sites": [{}}', '{"sites": [{}]',
        '{"sites": [{} {}]}', '{"sites": [{},]}', '{"sites": [,]}', '{"sites": [1]}', '{"sites": [{}]} more',
        '{"sites": [{"site": "a"}', '{"sites": [' + '{"a":' * 50_000, "\ud800",
    ],
)  # fmt: skip
def test_anything_else_is_an_error_and_never_a_shorter_list(answer):
    with pytest.raises(ExporterError):
        sites_of(answer.encode("utf-8", "surrogatepass").decode("latin-1"))


def test_an_answer_that_is_no_200_is_an_error():
    with pytest.raises(ExporterError, match="503"):
        sites_of(json.dumps({"sites": SITES}), 503)


def answering(*bodies: bytes):
    """Serve these answers, one a connection, each of which is closed after it; count the connections."""
    listening = socket.create_server(("127.0.0.1", 0))
    accepted = []

    def serve():
        for body in bodies:
            connection, _ = listening.accept()
            accepted.append(connection.recv(65536))
            connection.sendall(body)
            connection.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    return listening, accepted, thread


def test_a_connection_that_was_closed_while_it_was_idle_is_opened_anew():
    body = json.dumps({"sites": SITES}).encode()
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    listening, accepted, thread = answering(answer, answer)
    with listening:
        client = ExporterClient(f"http://127.0.0.1:{listening.getsockname()[1]}/below")
        assert client.sites() == client.sites()
        thread.join(20)
    assert [one.split(b" ")[1] for one in accepted] == [b"/below/api/v1/sites"] * 2


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"220 mail.example ESMTP\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{",
        b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"a":',
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_half_an_answer_and_what_is_no_answer_at_all_are_errors(answer):
    listening, _, thread = answering(answer)
    with listening, pytest.raises(ExporterError):
        ExporterClient(f"http://127.0.0.1:{listening.getsockname()[1]}").probe("www")
    thread.join(20)


def test_an_exporter_that_is_not_there_or_says_nothing_is_an_error():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(ExporterError, match="TimeoutError"):
            ExporterClient(url, probe_timeout=0.2).probe("www")
    with pytest.raises(ExporterError):
        ExporterClient(url).probe("www")
