import os
import socket
from pathlib import Path

import pytest

from stack.ports import Port, faults, holder
from tests.ports import free_port


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_free_ports_are_no_fault():
    assert faults([Port(free_port(), "Prometheus", "PROMETHEUS_PORT")]) == []


def test_a_taken_port_names_its_holder_and_the_setting_to_change(listener):
    name = Path("/proc/self/comm").read_text().strip()
    [message] = faults([Port(listener, "Prometheus", "PROMETHEUS_PORT")])
    assert message == (
        f"port {listener} (Prometheus) is taken by pid {os.getpid()} ({name}): "
        "stop it, or set PROMETHEUS_PORT in .env to another port"
    )


def test_every_taken_port_is_told(listener):
    with socket.create_server(("0.0.0.0", 0)) as other:
        ports = [Port(listener, "a", "A_PORT"), Port(other.getsockname()[1], "b", "B_PORT")]
        assert len(faults(ports)) == 2


def test_two_services_on_one_port_are_a_fault():
    port = free_port()
    [message] = faults([Port(port, "exporter", "EXPORTER_PORT"), Port(port, "remediator", "REMEDIATOR_PORT")])
    assert message == (
        f"port {port} is wanted by exporter and by remediator: give REMEDIATOR_PORT another one in .env"
    )


def test_nobody_holds_a_free_port():
    assert holder(free_port()) is None


def test_a_port_that_a_connection_just_left_is_free(listener):
    port = free_port()
    with socket.create_server(("127.0.0.1", port)) as server, socket.create_connection(("127.0.0.1", port)):
        server.accept()[0].close()  # the server's side closes first and lingers in TIME_WAIT
    assert faults([Port(port, "exporter", "EXPORTER_PORT")]) == []
