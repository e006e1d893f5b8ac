"""A server in small: one container, which a reboot stops."""

import json
from dataclasses import dataclass, field

from core.servers.server import ActionError, CommandResult, Connector, Reason, Server


@dataclass
class Machine:
    """A server with one container, which a reboot stops."""

    up: bool = True
    status: str = "running"
    refuses_start: CommandResult | None = None
    commands: list[list[str]] = field(default_factory=list)

    def power(self, linode_id: int, action: str) -> None:
        self.status = "exited"

    def connect(self, server: Server) -> Connector:
        if not self.up:
            raise ActionError("no SSH", reason=Reason.UNREACHABLE)
        return self

    def run(self, argv: list[str], timeout: float) -> CommandResult:  # type: ignore[override]
        self.commands.append(list(argv))
        if argv[1] == "start":
            if self.refuses_start is not None:
                return self.refuses_start
            self.status = "running"
        state = {"Status": self.status, "ExitCode": 0, "StartedAt": "2026-01-01T00:00:00Z"}
        record = {"Id": "a" * 64, "Name": "/nginx", "RestartCount": 0, "State": state}
        return CommandResult(0, json.dumps([record]), "")

    def close(self) -> None:
        pass

    def __enter__(self) -> "Machine":
        return self

    def __exit__(self, *_: object) -> None:
        pass
