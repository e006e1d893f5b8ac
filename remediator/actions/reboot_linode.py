"""Reboot the Linode of a server that gives no sign of life, where `may_reboot` allows it."""

from __future__ import annotations

from core.servers.server import ActionError, Server
from remediator.actions.power import PowerAction, called, refusal
from remediator.model.action import LinodeClient, LinodeInstance


class RebootLinode(PowerAction):
    """Reboots a server whose Linode runs."""

    name = "reboot_linode"
    event = "linode_reboot"
    noun, doing, done = "reboot", "rebooting", "rebooted"

    def forbidden(self, server: Server) -> str | None:
        """Knowing is not permission."""
        if server.linode is None or not server.may_reboot:
            return f"{server.name} may not be rebooted: give it linode: and may_reboot: true"
        return None

    def unfit(self, instance: LinodeInstance) -> ActionError | None:
        """Leave one that is switched off alone: a reboot would not start it anyway."""
        if instance.status == "offline":
            return refusal(f"{called(instance)} is switched off, perhaps on purpose: boot it yourself")
        return None

    def ask(self, linode: LinodeClient, linode_id: int) -> None:
        """Ask for the reboot, once."""
        linode.reboot(linode_id)
