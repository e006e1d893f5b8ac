"""How hypothesis searches: the same examples each time, or others by chance."""

from hypothesis import HealthCheck, settings


def so_many(examples: int, *, by_chance: bool) -> settings:
    """Have that many examples tried, and nothing of them kept."""
    return settings(
        max_examples=examples, deadline=None, database=None, derandomize=not by_chance,
        suppress_health_check=[HealthCheck.too_slow],
    )  # fmt: skip
