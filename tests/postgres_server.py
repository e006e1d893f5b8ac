"""A real PostgreSQL for tests: a cluster in a folder of its own, on a loopback port of its own."""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from stack.programs import find_program
from tests.ports import free_port
from tests.waiting import until

USER = "sitemedic"
PASSWORD = "pg-planted-password"
needs_postgres = pytest.mark.needs("postgres", "initdb")
"""What a test that uses this says."""


@dataclass
class PostgresServer:
    """One server; `url()` makes a database of its own at each call."""

    folder: Path
    port: int
    process: "subprocess.Popen[bytes] | None" = None

    def url(self, password: str = PASSWORD) -> str:
        """Make an empty database and return its URL, with the password."""
        name = f"d{secrets.token_hex(6)}"
        self.execute(f"CREATE DATABASE {name}")
        return f"postgresql://{USER}:{password}@127.0.0.1:{self.port}/{name}"

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """Run one statement as the owner of everything."""
        where = {"host": "127.0.0.1", "port": self.port, "user": USER, "password": PASSWORD}
        with psycopg.connect(dbname=database, autocommit=True, **where) as connection:  # type: ignore[arg-type]
            found = connection.execute(statement.encode())
            return found.fetchall() if found.description else []

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command = [_program("postgres"), "-D", str(self.folder / "data"), "-p", str(self.port)]
        options = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "shared_buffers": "16MB",
            "max_connections": "60",
            "fsync": "off",  # a test's machine does not lose its power
        }
        flags = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*_as_its_user(), *command, *flags], stdout=log, stderr=log, start_new_session=True
            )
        until(self._answers, 30, f"PostgreSQL (its log: {self.folder / 'log'})")

    def stop(self, number: int = signal.SIGINT) -> None:
        """Stop it at once, every connection with it."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(number)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait(5)

    def hang(self) -> None:
        """Stop every process of it from doing anything: connections stay, answers do not come."""
        os.killpg(self._running().pid, signal.SIGSTOP)
        for pid in self._children():
            os.kill(pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """End what `hang` began."""
        for pid in self._children():
            os.kill(pid, signal.SIGCONT)
        os.killpg(self._running().pid, signal.SIGCONT)

    def _running(self) -> "subprocess.Popen[bytes]":
        assert self.process is not None
        return self.process

    def _children(self) -> list[int]:
        pid = self._running().pid
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def _answers(self) -> bool:
        if self._running().poll() is not None:
            raise RuntimeError((self.folder / "log").read_text()[-2000:])
        try:
            return self.execute("SELECT 1") == [(1,)]
        except psycopg.Error:
            return False


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """Run a server until the block ends, and leave nothing of it behind."""
    folder = Path(tempfile.mkdtemp(prefix="sitemedic-postgres-"))
    try:
        if os.geteuid() == 0:
            owner = pwd.getpwnam(_owner())
            os.chown(folder, owner.pw_uid, owner.pw_gid)
        password = folder / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        names = ("-D", str(folder / "data"), "-U", USER, f"--pwfile={password}")
        settings = ("-E", "UTF8", "--locale=C", "--auth=scram-sha-256", "--no-sync")
        command = [*_as_its_user(), _program("initdb"), *names, *settings]
        made = subprocess.run(command, capture_output=True, check=False, cwd=folder)
        assert made.returncode == 0, made.stderr.decode()
        server = PostgresServer(folder, free_port())
        server.start()
        try:
            yield server
        finally:
            server.stop(signal.SIGQUIT)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _owner() -> str:
    return "postgres" if any(one.pw_name == "postgres" for one in pwd.getpwall()) else "nobody"


def _as_its_user() -> Sequence[str]:
    """PostgreSQL refuses to be root's."""
    if os.geteuid() != 0:
        return ()
    owner = pwd.getpwnam(_owner())
    identity = (f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--clear-groups")
    return ("setpriv", "--pdeathsig", "QUIT", *identity)  # it ends with whoever started it


def _program(name: str) -> str:
    found = find_program(name)
    assert found is not None, f"{name} is not installed"
    return str(found)
