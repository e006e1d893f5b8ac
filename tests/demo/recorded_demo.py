"""A demo that answers what a real one once answered: `recorded/KIND.json` holds the looks with news."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests

from stack.home import Home, Running
from stack.story.sources import Demo

RECORDED = Path(__file__).with_name("recorded")
Frame = dict[str, Any]


def frames(kind: str) -> list[Frame]:
    """Return the recorded looks: the first is from before the break."""
    found = json.loads((RECORDED / f"{kind}.json").read_text())
    assert isinstance(found, list)
    return found


class RecordedDemo(Demo):
    """Plays frames, one a look; at `hold` it stays until it is mended."""

    def __init__(self, folder: Path, played: list[Frame], hold: int | None = None) -> None:
        home = Home(folder, demo=True)
        home.data.mkdir(parents=True)
        self.played = copy.deepcopy(played)
        self.orders: list[str] = []
        self.at = 0
        self._hold = hold
        self._broken = False
        running = Running(
            demo=True, pid=1, started=0, urls=dict.fromkeys(("site", "remediator", "mailbox"), "x")
        )
        super().__init__(home, running, "shop", clock=lambda: float(self.frame["time"]))

    def __post_init__(self) -> None:
        self._closed = {}

    @property
    def frame(self) -> Frame:
        return self.played[self.at]

    def still_runs(self) -> bool:
        return True

    def change(self, change: Callable[[dict[str, Any]], None], since: int = 1) -> None:
        """Change the answers of all frames from the one numbered `since`."""
        for frame in self.played[since:]:
            change(frame["answers"])

    def _get(self, service: str, path: str) -> Any:
        if path == "/state" and self._broken and self.at + 1 < len(self.played) and self.at != self._hold:
            self.at += 1  # the first question of a look
        answer = self.frame["answers"].get(path)
        if answer is None:
            raise requests.ConnectionError(service)
        return copy.deepcopy(answer)

    def _order(self, path: str, body: object) -> Any:
        self.orders.append(path)
        if path == "/break":
            self._broken = True
            return {"broken_at": self.played[1]["answers"]["/state"]["broken_at"]}
        self._hold = None
        return {}
