"""Notifications come first from their arrival until they are answered, not only while they are stored.

Until a thread has been found for one, and while its answer is made, it needs the interpreter as much as in
between: a dozen workers that reckon then make it wait for longer than the database does. Who does not have
the webhook's token comes before nobody.
"""

from __future__ import annotations

from typing import Any

from waitress.channel import HTTPChannel

from core.secrets import Secret
from core.web.bearer import bearer_matches
from remediator.store.database import Store

PATH = "/webhook/alertmanager"


def put_first(server: Any, store: Store, token: Secret) -> None:
    """Let workers give way to a notification for as long as this waitress has it."""

    class Channel(HTTPChannel):  # type: ignore[misc]
        """A connection of the server's, which asks for a thread once for each request."""

        def service(self) -> None:
            first = _is_notification(self, token)
            try:
                super().service()
            finally:
                if first:
                    store.end_first()

    hand_out = server.add_task

    def add_task(channel: Channel) -> None:
        if _is_notification(channel, token):
            store.begin_first()
        hand_out(channel)

    server.channel_class, server.add_task = Channel, add_task


def _is_notification(channel: Any, token: Secret) -> bool:
    request = channel.requests[0]
    if getattr(request, "path", "") != PATH:
        return False
    return bearer_matches(request.headers.get("AUTHORIZATION"), token)
