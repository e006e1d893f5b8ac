"""What playbooks of sites.yml name in vain; one line each, with its mend."""

from collections.abc import Iterator

from core.servers.server import Server
from core.sites import Document
from remediator.configuration.options import RemediatorTop
from remediator.configuration.schema import playbooks, targets
from remediator.model.playbooks import Playbook


def idle_playbooks(document: Document) -> Iterator[str]:
    """Yield the steps that no server allows, and the playbooks that no site uses."""
    name, used = document.path.name, playbooks(document)
    healed = targets(document)
    by_name = {one.name: one for one in used.values() if not one.built_in}
    for own in by_name.values():
        on = [healed[site].server for site, one in used.items() if one is own and site in healed]
        for action, key in _not_allowed(own, on):
            yield (
                f"{name}: playbooks.{own.name}: {action} is left out:"
                f" none of its sites' servers has {key}: true"
            )
    for own_name in document.top(RemediatorTop).playbooks:
        if own_name not in by_name:
            yield f"{name}: playbooks.{own_name}: no site has recover.playbook: {own_name}"


def _not_allowed(playbook: Playbook, servers: list[Server]) -> Iterator[tuple[str, str]]:
    actions = {step.action for step in playbook.does_not_answer}
    if "reboot_linode" in actions and not any(one.may_reboot for one in servers):
        yield "reboot_linode", "may_reboot"
    if "boot_linode" in actions and not any(one.may_boot for one in servers):
        yield "boot_linode", "may_boot"
