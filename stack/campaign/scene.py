"""One outage of the plan, on servers that it has for itself: broken, struck by its faults, seen through."""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from stack.campaign.faults import Stroke, strike
from stack.campaign.lab import Lab
from stack.campaign.ledger import Kind
from stack.campaign.plan import Planned
from stack.campaign.world import Container, Server

A_PERSON_TAKES = 0.6
QUIET = 1.0
"""Seconds for which all must be over before it is."""


@dataclass
class Scene:
    """What an outage works with; `site` is the one that it is about."""

    lab: Lab
    planned: Planned
    servers: Sequence[Server]
    dice: random.Random

    @property
    def server(self) -> Server:
        """Return the only, or the first, of its servers."""
        return self.servers[0]

    @property
    def container(self) -> Container:
        """Return the container that the outage is about: always the same for one seed."""
        return random.Random(self.planned.seed).choice([*self.server.containers.values()])

    @property
    def site(self) -> str:
        """Return the site that the outage is about."""
        return self.container.site

    @property
    def sites(self) -> list[str]:
        """Return all sites of its servers."""
        return [one.site for server in self.servers for one in server.containers.values()]

    def sick(self, reason: str, container: Container | None = None, *, stubborn: bool = False) -> None:
        """Let a container fail for a reason while it runs."""
        with self.lab.world.changing():
            found = container or self.container
            found.sick, found.stubborn = reason, stubborn

    def stop(self, *containers: Container) -> None:
        """Stop containers, all at once."""
        with self.lab.world.changing():
            for one in containers:
                one.running = False

    def mend(self, *sites: str) -> None:
        """Have a person put sites right."""
        for site in sites:
            self.lab.world.mend(site)
            linode = self.lab.world.places[site][0].linode
            if linode is not None and self.lab.linode.instance(linode)["status"] == "offline":
                self.lab.linode.set_status(linode, "running")

    def strike(self) -> list[threading.Thread]:
        """Let the planned faults come, each in its time."""
        pairs = zip(self.planned.faults, self.planned.delays, strict=True)
        threads = [threading.Thread(target=self._strike, args=pair, daemon=True) for pair in pairs]
        for thread in threads:
            thread.start()
        return threads

    def _strike(self, fault: str, delay: float) -> None:
        stroke = Stroke(self.lab, self.servers[0] if self.servers else None, self._about(), self.dice)
        waits = fault in _IN_TIME
        try:
            if waits:
                self.lab.wait(delay)
            strike(fault, stroke)
        except InterruptedError:
            return

    def _about(self) -> str:
        return self.site if self.servers else ""

    def see_through(self, *sites: str, answer: bool = False) -> None:
        """Wait until the sites are well and no incident is open; a person mends what people are told of.

        `answer`: and approves whatever is asked.
        """
        lab, wanted = self.lab, sites or tuple(self.sites)
        deadline, quiet = lab.ledger.now() + lab.within, 0.0
        while lab.ledger.now() < deadline:
            lab.wait(0.2)
            self._let_a_person_mend(wanted)
            if answer:
                self._let_a_person_approve()
            over = all(lab.world.healthy(site) and site not in lab.open_sites for site in wanted)
            quiet = quiet + 0.2 if over else 0.0
            if quiet >= QUIET:
                return
        for site in wanted:
            if not lab.world.healthy(site) or site in lab.open_sites:
                lab.ledger.add(Kind.UNENDED, site, outage=str(self.planned), well=lab.world.healthy(site))
        self.mend(*wanted)

    def _let_a_person_mend(self, wanted: Sequence[str]) -> None:
        for site in wanted:
            incident = self.lab.alertmanager.needs_human(site)
            if incident is not None and incident not in self.lab.mended:
                self.lab.mended.add(incident)
                self.lab.wait(A_PERSON_TAKES)
                self.mend(site)

    def _let_a_person_approve(self) -> None:
        question = self.lab.api.question(self.site)
        if question is not None:
            approved = {"verdict": "approved", "by": "Ada"}
            self.lab.api.ask("POST", f"/api/v1/approvals/{question}", approved)

    def leave(self) -> None:
        """Leave the servers as they were before, whatever faults nobody met."""
        for server in self.servers:
            with self.lab.world.changing():
                server.faults.clear()
                server.ssh, server.alive = "ok", True
            if server.linode is not None:
                self.lab.linode_faults.clear_for(server.linode)
        self.mend(*self.sites)


_IN_TIME = frozenset(
    {
        "sigkill", "clock_jump", "database_locked", "disk_full", "exporter_gone", "exporter_slow",
        "alertmanager_gone", "false_resolve", "prometheus_restart",
    }
)  # fmt: skip
