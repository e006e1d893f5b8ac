"""Boot the Linode of a server that is switched off, where `may_boot` says that this is never on purpose."""

from __future__ import annotations

from core.servers.server import ActionError, Server
from remediator.actions.power import PowerAction, busy
from remediator.model.action import LinodeClient, LinodeInstance


class BootLinode(PowerAction):
    """Boots a server whose Linode is off."""

    name = "boot_linode"
    event = "linode_boot"
    noun, doing, done = "boot", "booting", "booted"

    def forbidden(self, server: Server) -> str | None:
        """Who switched it off may have meant it."""
        if server.linode is None or not server.may_boot:
            return f"{server.name} may not be booted: give it linode: and may_boot: true"
        return None

    def unfit(self, instance: LinodeInstance) -> ActionError | None:
        """Leave one that runs alone: it was booted meanwhile."""
        return None if instance.status == "offline" else busy(instance, f"{instance.status} by now")

    def ask(self, linode: LinodeClient, linode_id: int) -> None:
        """Ask for the boot, once."""
        linode.boot(linode_id)
