"""Chromium as a person uses it: no script of ours runs in the page, it is clicked and typed into.

Spoken to over a pipe (DevTools' protocol), so that no port and no driver is needed.
"""

import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from select import select
from typing import Any

from stack.programs import find_program

PATIENCE = 60.0
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-background-networking", "--hide-scrollbars", "--force-color-profile=srgb",
    "--remote-debugging-pipe",
)  # fmt: skip

_START = """
import fcntl, os, sys
into, out = (fcntl.fcntl(int(number), fcntl.F_DUPFD, 10) for number in sys.argv[1:3])
os.dup2(into, 3)
os.dup2(out, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


@dataclass
class Browser:
    """One tab of a browser, with the cookies of its own folder."""

    into: int
    out: int
    session: str = ""
    _last: int = 0
    _rest: bytes = b""
    _events: list[dict[str, Any]] = field(default_factory=list)

    def go(self, url: str) -> None:
        """Open an address and wait until it is shown."""
        self._events.clear()
        self._ask("Page.navigate", url=url)
        self._loaded()

    def click(self, selector: str, leads_on: bool = True) -> None:
        """Click in the middle of an element; wait for the page that it leads to."""
        node = self._node(selector)
        self._ask("DOM.scrollIntoViewIfNeeded", nodeId=node)
        quad = self._ask("DOM.getContentQuads", nodeId=node)["quads"][0]
        place = {"x": sum(quad[0::2]) / 4, "y": sum(quad[1::2]) / 4, "button": "left", "clickCount": 1}
        self._events.clear()
        for kind in ("mousePressed", "mouseReleased"):
            self._ask("Input.dispatchMouseEvent", type=kind, **place)
        if leads_on:
            self._loaded()

    def type(self, selector: str, text: str) -> None:
        """Write into a field."""
        self._ask("DOM.focus", nodeId=self._node(selector))
        self._ask("Input.insertText", text=text)

    def wait_for_page(self) -> None:
        """Wait until a page that leads on by itself has done so."""
        self._loaded()

    @property
    def html(self) -> str:
        """Return the page as it stands."""
        root = self._ask("DOM.getDocument", depth=0)["root"]["nodeId"]
        html: str = self._ask("DOM.getOuterHTML", nodeId=root)["outerHTML"]
        return html

    @property
    def path(self) -> str:
        """Return the path and query of where it is."""
        history = self._ask("Page.getNavigationHistory")
        url: str = history["entries"][history["currentIndex"]]["url"]
        return "/" + url.split("/", 3)[3]

    def size(self, width: int, height: int, dark: bool = False) -> None:
        """Be a screen of this size."""
        screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self._ask("Emulation.setDeviceMetricsOverride", **screen)
        colours = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self._ask("Emulation.setEmulatedMedia", features=colours)

    def widest(self) -> float:
        """Return how wide the page's content is."""
        return float(self._ask("Page.getLayoutMetrics")["cssContentSize"]["width"])

    def shot(self, file: Path) -> None:
        """Take a picture of the whole page."""
        whole = self._ask("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(whole["data"]))

    def attach(self) -> None:
        """Open the tab, without JavaScript."""
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self._ask("Page.enable")
        self._ask("DOM.enable")
        self._ask("Emulation.setScriptExecutionDisabled", value=True)

    def _node(self, selector: str) -> int:
        root = self._ask("DOM.getDocument", depth=0)["root"]["nodeId"]
        node: int = self._ask("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        assert node, f"there is no {selector} at {self.path}:\n{self.html}"
        return node

    def _loaded(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while not any(one.get("method") == "Page.loadEventFired" for one in self._events):
            self._events.append(self._read(deadline))
        self._events.clear()

    def _ask(self, method: str, **params: object) -> dict[str, Any]:
        self._last += 1
        message = {"id": self._last, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.into, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + PATIENCE
        while (answer := self._read(deadline)).get("id") != self._last:
            self._events.append(answer)
        assert "error" not in answer, f"{method}: {answer['error']}"
        found: dict[str, Any] = answer["result"]
        return found

    def _read(self, deadline: float) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select([self.out], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, "chromium does not answer"
            piece = os.read(self.out, 1 << 20)
            assert piece, "chromium has ended"
            self._rest += piece
        message, _, self._rest = self._rest.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found


@contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """Run a browser of its own until the block ends."""
    program = find_program("chromium")
    assert program is not None
    its_in, into = os.pipe()
    out, its_out = os.pipe()
    start = [sys.executable, "-c", _START, str(its_in), str(its_out)]
    process = subprocess.Popen(
        [*start, str(program), *_FLAGS, f"--user-data-dir={folder}"],
        pass_fds=(its_in, its_out),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(its_in)
    os.close(its_out)
    try:
        found = Browser(into, out)
        found.attach()
        yield found
    finally:
        os.close(into)
        process.terminate()
        process.wait(20)
        os.close(out)
