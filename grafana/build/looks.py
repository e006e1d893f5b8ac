"""Colours, thresholds and value mappings that every panel shares."""

from collections.abc import Mapping

from grafana_foundation_sdk.builders.dashboard import ThresholdsConfig
from grafana_foundation_sdk.models.dashboard import (
    DashboardSpecialValueMapOptions,
    SpecialValueMap,
    SpecialValueMatch,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMapping,
    ValueMappingResult,
)

GOOD, NOTICE, WARNING, BAD, NEUTRAL = "green", "yellow", "orange", "red", "text"


def steps(base: str, *above: tuple[float, str]) -> ThresholdsConfig:
    """Colour values by `base`, and from each `(value, colour)` upwards by that colour."""
    found = [Threshold(value=None, color=base), *(Threshold(value=v, color=c) for v, c in above)]
    return ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(found)


def words(meanings: Mapping[str, tuple[str, str]], nothing: str = "no data") -> list[ValueMapping]:
    """Show numbers as words: `{"1": ("up", "green")}`; a missing value reads as `nothing`."""
    options = {
        value: ValueMappingResult(text=text, color=color, index=index)
        for index, (value, (text, color)) in enumerate(meanings.items())
    }
    missing = DashboardSpecialValueMapOptions(
        match=SpecialValueMatch.NULL_AND_NAN,
        result=ValueMappingResult(text=nothing, color=NEUTRAL, index=len(options)),
    )
    return [ValueMap(options=options), SpecialValueMap(options=missing)]


STATES = words(
    {
        "0": ("up", GOOD),
        "1": ("slow", NOTICE),
        "2": ("flapping", NOTICE),
        "3": ("failing", WARNING),
        "4": ("down", BAD),
    }
)
"""A site's state; slow, flapping and down as their alerts say it, failing as long as none does."""

CERTIFICATE = words(
    {
        "0": ("fine", GOOD),
        "1": ("ends soon", NOTICE),
        "2": ("second warning", WARNING),
        "3": ("last warning", BAD),
        "4": ("ended", BAD),
    },
    nothing="none",
)
"""The stages of SiteCertificateExpiring."""

UP_OR_DOWN = words({"1": ("up", GOOD), "0": ("down", BAD)})
YES_OR_NO = words({"1": ("yes", GOOD), "0": ("no", BAD)})
FIRING = words({"1": ("firing", BAD)}, nothing="over")

CONTAINER = words(
    {
        "0": ("running", GOOD),
        "1": ("unhealthy", WARNING),
        "2": ("created", NOTICE),
        "3": ("paused", WARNING),
        "4": ("restarting", BAD),
        "5": ("removing", NOTICE),
        "6": ("exited", BAD),
        "7": ("dead", BAD),
        "8": ("absent", BAD),
    }
)
"""A container's state in Docker's words; unhealthy: it runs, and its own check fails."""

HEALTH = words(
    {"0": ("healthy", GOOD), "1": ("starting", NOTICE), "2": ("unhealthy", BAD)}, nothing="no check"
)
