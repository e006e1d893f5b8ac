"""Plays a plan: several outages at once, the remediator kept alive, and all of it seen to its end."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from stack.campaign.lab import Lab
from stack.campaign.ledger import Kind
from stack.campaign.outages import OUTAGES
from stack.campaign.plan import Planned
from stack.campaign.scene import Scene
from stack.errors import StackError

ABREAST = 16
"""Outages at once; more would hold each other back by the cap."""
ALL_OVER_SECONDS = 60.0
KEEP_EVERY = 0.2
TELL_EVERY = 5.0
Say = Callable[[str], None]


class Run:
    """One campaign; `play` belongs into the thread that lives longest, since it starts the remediator."""

    def __init__(self, lab: Lab, plan: Sequence[Planned], seed: int, say: Say) -> None:
        self._lab = lab
        self._plan = plan
        self._say = say
        self._dice = random.Random(seed)
        self._slots = threading.Semaphore(ABREAST)
        self._threads: list[threading.Thread] = []
        self._done = 0
        self.failed = ""

    def play(self) -> None:
        """Play it all; returns when the last outage is over and every incident closed, or its time is up."""
        self._lab.process.keep()
        hand_out = threading.Thread(target=self._hand_out, name="plan", daemon=True)
        hand_out.start()
        told = time.monotonic()
        while hand_out.is_alive() or any(one.is_alive() for one in self._threads):
            self._keep()
            if time.monotonic() - told > TELL_EVERY:
                told = time.monotonic()
                self._say(self._progress())
        if self.failed:
            log = self._lab.process.log.read_text(encoding="utf-8", errors="replace")
            raise StackError(f"{self.failed}; the end of its log:\n{log[-2000:]}")
        self._see_all_closed()
        self._say(self._progress())

    def _keep(self) -> None:
        time.sleep(KEEP_EVERY)
        lock = self._lab.alone["process"]
        if lock.acquire(timeout=0.01):  # not while a fault has the process's clock in hand
            try:
                self._lab.process.keep()
            finally:
                lock.release()

    def _hand_out(self) -> None:
        with suppress(InterruptedError):
            if not self._lab.api.insist("GET", "/-/ready", seconds=60):
                self.failed = "the remediator does not get ready"
                return
            for planned in self._plan:
                self._slots.acquire()
                scene = self._scene(planned)
                thread = threading.Thread(target=self._play, args=(scene,), daemon=True)
                self._threads.append(thread)
                thread.start()
                self._lab.wait(self._dice.uniform(0.0, 0.4))

    def _scene(self, planned: Planned) -> Scene:
        lab, outage, dice = self._lab, OUTAGES[planned.outage], random.Random(planned.seed)
        while True:
            servers = lab.take(outage.servers, outage.count, dice) if outage.count else []
            if servers is not None:
                return Scene(lab, planned, servers, dice)
            lab.wait(0.2)

    def _play(self, scene: Scene) -> None:
        lab, planned = self._lab, scene.planned
        about = scene.site if scene.servers else ""
        lab.ledger.add(Kind.OUTAGE, planned.outage, on=True, number=planned.number, site=about)
        try:
            faults = scene.strike()
            OUTAGES[planned.outage].play(scene)
            for fault in faults:
                fault.join(30)
        except InterruptedError:
            pass
        finally:
            scene.leave()
            lab.give_back(scene.servers)
            lab.ledger.add(Kind.OUTAGE, planned.outage, on=False, number=planned.number, site=about)
            self._done += 1
            self._slots.release()

    def _see_all_closed(self) -> None:
        """Give what the storms left open its time: every site is well by now."""
        lab = self._lab
        deadline = time.monotonic() + min(ALL_OVER_SECONDS, lab.within)
        quiet = 0
        while time.monotonic() < deadline and quiet < 6:
            self._keep()
            found = lab.api.open_sites()
            quiet = quiet + 1 if found is not None and not found else 0

    def _progress(self) -> str:
        lab = self._lab
        effects = sum(not one.detail["ended"] for one in lab.ledger.entries(Kind.EFFECT))
        return (
            f"{lab.ledger.now():6.0f} s  {self._done} of {len(self._plan)} outages over, "
            f"{len(lab.open_sites)} sites with an open incident, {effects} acts, "
            f"{lab.process.kills} times killed"
        )
