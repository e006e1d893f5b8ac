"""The actions: one file each, and this registry."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from remediator.actions.boot_linode import BootLinode
from remediator.actions.reboot_linode import RebootLinode
from remediator.actions.restart_container import RestartContainer
from remediator.actions.run_hook import RunHook
from remediator.model.action import Action

ACTIONS: Mapping[str, Action] = MappingProxyType(
    {action.name: action for action in (RestartContainer(), BootLinode(), RebootLinode(), RunHook())}
)
