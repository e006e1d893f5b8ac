"""The lab's servers over SSH: real connections and key exchanges, a thread each, broken on order."""

from __future__ import annotations

import contextlib
import logging
import selectors
import socket
import struct
import threading
import time
from pathlib import Path

import paramiko

from stack.campaign import docker
from stack.campaign.ledger import Kind
from stack.campaign.world import Server, World

HANG_SECONDS = 15.0
SHELL_SECONDS = 0.02
"""What a shell takes at least: the answer to the request goes out before the command ends."""
USER = "medic"


class SshLab:
    """One listening port a server, on loopback; `write_keys` before the remediator starts."""

    def __init__(self, world: World, folder: Path) -> None:
        self._world = world
        self.key_file = folder / "medic"
        self.known_hosts_file = folder / "known_hosts"
        self._user_key = paramiko.ECDSAKey.generate()
        self._impostor = paramiko.ECDSAKey.generate()
        self._host_keys = {name: paramiko.ECDSAKey.generate() for name in world.servers}
        self._selector = selectors.DefaultSelector()
        self.ports: dict[str, int] = {}
        self._stopping = threading.Event()
        for name in world.servers:
            listening = socket.create_server(("127.0.0.1", 0), backlog=64)
            self.ports[name] = listening.getsockname()[1]
            self._selector.register(listening, selectors.EVENT_READ, name)

    def write_keys(self) -> None:
        """Write the private key to log in with, and the pinned host keys."""
        self._user_key.write_private_key_file(str(self.key_file))
        lines = (
            f"[127.0.0.1]:{port} {self._host_keys[name].get_name()} {self._host_keys[name].get_base64()}\n"
            for name, port in self.ports.items()
        )
        self.known_hosts_file.write_text("".join(lines), encoding="utf-8")

    def start(self) -> None:
        """Let connections in."""
        logging.getLogger("paramiko").setLevel(logging.CRITICAL)
        threading.Thread(target=self._accept, name="ssh", daemon=True).start()

    def stop(self) -> None:
        """Let nobody in any more."""
        self._stopping.set()

    def _accept(self) -> None:
        while not self._stopping.is_set():
            for key, _ in self._selector.select(0.2):
                assert isinstance(key.fileobj, socket.socket)
                connection, _ = key.fileobj.accept()
                server = self._world.servers[key.data]
                threading.Thread(target=self._serve, args=(server, connection), daemon=True).start()
        for key in list(self._selector.get_map().values()):
            assert isinstance(key.fileobj, socket.socket)
            key.fileobj.close()

    def _serve(self, server: Server, connection: socket.socket) -> None:
        with self._world.lock:
            state = server.ssh if server.alive or server.ssh == "reset" else "silent"
        if state == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
            return
        if state == "silent":
            self._stopping.wait(HANG_SECONDS)
            connection.close()
            return
        key = self._impostor if state == "key_changed" else self._host_keys[server.name]
        session = _Session(self._world, server, self._user_key, impostor=state == "key_changed")
        with contextlib.suppress(paramiko.SSHException, OSError, EOFError):
            transport = paramiko.Transport(connection)
            session.transport = transport
            transport.add_server_key(key)
            transport.start_server(server=session)


class _Session(paramiko.ServerInterface):
    """One connection: lets the one key in and runs its commands."""

    def __init__(self, world: World, server: Server, key: paramiko.PKey, *, impostor: bool) -> None:
        self._world = world
        self._server = server
        self._key = key
        self._impostor = impostor
        self.transport: paramiko.Transport | None = None

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        if self._impostor:  # whoever logs in here has not looked at the host key
            self._world.ledger.add(Kind.COMMAND, self._server.name, line="(login)", fault="key_changed")
        known = key.get_base64() == self._key.get_base64() and username == USER
        return paramiko.common.AUTH_SUCCESSFUL if known else paramiko.common.AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.common.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        threading.Thread(target=self._run, args=(channel, command.decode()), daemon=True).start()
        return True

    def _run(self, channel: paramiko.Channel, line: str) -> None:
        time.sleep(SHELL_SECONDS)
        with self._world.lock:
            alive = self._server.alive
        if not alive:
            self._drop()
            return
        answer = docker.run(self._world, self._server, line)
        with contextlib.suppress(paramiko.SSHException, OSError, EOFError):
            if answer.hang:
                time.sleep(HANG_SECONDS)
            if answer.drop or answer.hang:
                self._drop()
                return
            out = answer.stdout[: len(answer.stdout) // 2] if answer.half else answer.stdout
            channel.sendall(out.encode())
            channel.sendall_stderr(answer.stderr.encode())
            channel.send_exit_status(answer.status)
            channel.close()

    def _drop(self) -> None:
        if self.transport is not None:
            self.transport.close()
