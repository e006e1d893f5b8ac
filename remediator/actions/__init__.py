"""The actions: one file each, and this registry."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from remediator.actions.action import Action

ACTIONS: Mapping[str, Action] = MappingProxyType({})
