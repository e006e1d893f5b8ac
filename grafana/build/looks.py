"""Colours, thresholds and value mappings that every panel shares."""

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

GOOD, WARNING, BAD, NEUTRAL = "green", "yellow", "red", "text"


def steps(base: str, *above: tuple[float, str]) -> ThresholdsConfig:
    """Colour values by `base`, and from each `(value, colour)` upwards by that colour."""
    found = [Threshold(value=None, color=base), *(Threshold(value=v, color=c) for v, c in above)]
    return ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(found)


def words(meanings: dict[str, tuple[str, str]], nothing: str = "no data") -> list[ValueMapping]:
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


UP_OR_DOWN = words({"1": ("up", GOOD), "0": ("down", BAD)})
YES_OR_NO = words({"1": ("yes", GOOD), "0": ("no", BAD)})
