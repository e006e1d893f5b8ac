"""One connection for the several steps that follow each other: each new one costs a key exchange."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from core.servers.server import ActionError, Closing, CommandResult, Connector, Server


class KeptConnections(Closing):
    """Lends connections, one a server, and closes them at its own end. Not for several threads."""

    def __init__(self, connect: Callable[[Server], Connector]) -> None:
        self._connect = connect
        self._open: dict[Server, Connector] = {}

    def connect(self, server: Server) -> Connector:
        """Lend the connection that there is, or open one; raise ActionError as `connect` does."""
        if server not in self._open:
            self._open[server] = self._connect(server)
        return _Lent(self._open[server], lambda: self._drop(server))

    def close(self) -> None:
        """Close them all."""
        for server in list(self._open):
            self._drop(server)

    def _drop(self, server: Server) -> None:
        connector = self._open.pop(server, None)
        if connector is not None:
            connector.close()


class _Lent(Connector):
    """A connection that outlives its borrower, unless something went wrong on it."""

    def __init__(self, connector: Connector, drop: Callable[[], None]) -> None:
        self._connector = connector
        self._drop = drop

    def run(self, argv: Sequence[str], timeout: float) -> CommandResult:
        """Run one argument list as the connection does."""
        try:
            result = self._connector.run(argv, timeout)
        except ActionError:
            self._drop()
            raise
        if result.exit_status == -1:
            self._drop()
        return result

    def close(self) -> None:
        """Leave it open for the next."""
