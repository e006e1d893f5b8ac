"""The faults that the fake Linode API has on order, and the answers that they give."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

from flask import Response, jsonify, request

from demo.linode_filter import BadRequestError

FAULTS = frozenset({"busy", "slow", "429", "drop", "drop_before", "hang", "html400", "no_event", "fail"})
STATUSES = frozenset({"408", "500", "502", "503", "maintenance"})
_AFTER_ACCEPTING = frozenset({"drop", "hang", "slow", "no_event", "fail"})
_HTML = "<html>\r\n<head><title>400 Bad Request</title></head>\r\n<body>nginx</body>\r\n</html>\r\n"


@dataclass
class Fault:
    """One fault: on which calls, on how many, for how long, and whether the job is done all the same."""

    kind: str
    on: str
    times: int | None
    seconds: float
    accept: bool


class Faults:
    """The faults on order, and what was asked and accepted so far."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._fault: Fault | None = None
        self.posts = 0
        self.accepted = 0

    def order(
        self,
        kind: str,
        on: str = "reboot",
        times: int | None = None,
        seconds: float = 30.0,
        accept: bool | None = None,
    ) -> None:
        """Have a fault on the next `times` calls (None: until it is taken back); raises BadRequestError.

        `accept`: whether the job is done all the same; by default only where the kind says so.
        """
        if kind not in FAULTS | STATUSES:
            raise BadRequestError(f"kind must be one of {', '.join(sorted(FAULTS | STATUSES))}", "kind")
        if on not in ("reboot", "boot", "all"):
            raise BadRequestError("on must be reboot, boot or all", "on")
        accepts = kind in _AFTER_ACCEPTING if accept is None else accept
        with self._lock:
            self._fault = Fault(kind, on, times, seconds, accepts)

    def clear(self) -> None:
        """Have no fault any more."""
        with self._lock:
            self._fault = None

    def next(self, call: str) -> Fault | None:
        """Return the fault that this call meets, and count it."""
        with self._lock:
            fault = self._fault
            if fault is None or fault.on not in ("all", call):
                return None
            if fault.times is not None:
                fault.times -= 1
                if fault.times <= 0:
                    self._fault = None
            return fault

    def count(self, *, accepted: bool = False) -> None:
        """Count a POST of a reboot or a boot, or one that was accepted."""
        with self._lock:
            if accepted:
                self.accepted += 1
            else:
                self.posts += 1


def faulty_answer(fault: Fault | None) -> Response | None:
    """Return the answer that the fault gives; None where it leaves the usual one."""
    if fault is None or fault.kind in ("no_event", "fail"):
        return None
    if fault.kind in ("drop", "drop_before"):
        return _drop()
    if fault.kind in ("slow", "hang"):
        time.sleep(fault.seconds)
        return _drop() if fault.kind == "hang" else None
    if fault.kind == "busy":
        return error_answer(400, "Linode busy.")
    if fault.kind == "html400":
        return Response(_HTML, status=400, mimetype="text/html")
    if fault.kind == "429":
        return error_answer(429, "Too many requests", headers={"Retry-After": str(int(fault.seconds))})
    if fault.kind == "maintenance":
        return error_answer(
            503, "Down for maintenance", headers={"X-Maintenance-Mode": "all, The API is down"}
        )
    return error_answer(int(fault.kind), "Internal server error")


def _drop() -> Response:
    """Close the connection under the answer."""
    connection = request.environ.get("werkzeug.socket")
    if isinstance(connection, socket.socket):
        connection.shutdown(socket.SHUT_RDWR)
    return Response(status=500)


def error_answer(
    status: int, reason: str, field: str | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    """Return an error in the API's shape."""
    one = {"reason": reason} | ({"field": field} if field else {})
    answer = jsonify({"errors": [one]})
    answer.status_code = status
    answer.headers.update(headers or {})
    return answer
