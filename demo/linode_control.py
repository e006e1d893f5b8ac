"""What tells the fake Linode API to have faults, and shows what it was asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Response, jsonify, request

from core.secrets import Secret
from core.web.bearer import bearer_matches
from demo.linode_faults import Faults
from demo.linode_filter import BadRequestError
from demo.linode_state import Account


class RefusedError(Exception):
    """Answered with this status and reason."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class Control:
    """The endpoints below /control."""

    def __init__(self, account: Account, faults: Faults, token: Secret | None) -> None:
        self._account = account
        self._faults = faults
        self._token = token

    def state(self) -> Response:
        """Show all, with the POSTs of reboots and boots that came and that were accepted."""
        self._authorize()
        return jsonify(
            posts=self._faults.posts,
            accepted=self._faults.accepted,
            instances=self._account.instances(),
            events=self._account.events(),
        )

    def fault(self) -> Response:
        """Take an order for a fault."""
        order = self._order()
        times, accept = order.get("times"), order.get("accept")
        self._faults.order(
            str(order.get("kind")),
            str(order.get("on", "reboot")),
            None if times is None else _whole(times, "times"),
            float(_whole(order.get("seconds", 30), "seconds")),
            None if accept is None else bool(accept),
        )
        return jsonify({})

    def no_fault(self) -> Response:
        """Take the order back."""
        self._authorize()
        self._faults.clear()
        return jsonify({})

    def event(self) -> Response:
        """Add an event of somebody else."""
        order = self._order()
        username = order.get("username")
        added = self._account.add_event(
            _whole(order.get("linode"), "linode"),
            str(order.get("action", "lassie_reboot")),
            str(order.get("status", "finished")),
            None if username is None else str(username),
        )
        return jsonify({"id": added})

    def status(self) -> Response:
        """Give a Linode a status."""
        order = self._order()
        self._account.set_status(_whole(order.get("linode"), "linode"), str(order.get("status")))
        return jsonify({})

    def _order(self) -> Mapping[str, Any]:
        self._authorize()
        order = request.get_json(silent=True)
        if not isinstance(order, dict):
            raise BadRequestError("the body must be a JSON object")
        return order

    def _authorize(self) -> None:
        if self._token is not None and not bearer_matches(request.headers.get("Authorization"), self._token):
            raise RefusedError(401, "Invalid Token")


def _whole(value: Any, field: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadRequestError("must be a number", field)
    return int(value)
