"""What is asked of Prometheus about containers; each takes the matcher that picks them.

All answer by `server` and `name`, so that tables can join them and operators can meet. Names that begin
with `container_` are cAdvisor's, and mean what they mean there.
"""

STATES = {
    "running": 0,
    "created": 2,
    "paused": 3,
    "restarting": 4,
    "removing": 5,
    "exited": 6,
    "dead": 7,
    "absent": 8,
}
"""Docker's words by the number that stands for them on a dashboard, the worst last."""
UNHEALTHY = 1
"""It runs, and its own health check fails."""
HEALTH = {"healthy": 0, "starting": 1, "unhealthy": 2}

RESTARTING = "container:sitemedic_container_restarting_since_timestamp_seconds:held"
HIGH_CPU = "container:sitemedic_container_high_cpu_since_timestamp_seconds:held"
HIGH_MEMORY = "container:sitemedic_container_high_memory_since_timestamp_seconds:held"
"""There while ContainerRestarting, ContainerHighCPU, ContainerHighMemory fire."""


def each(metric: str, containers: str) -> str:
    """Ask for a metric as one series per container, whatever else its labels say."""
    return f"max by (server, name) ({metric}{{{containers}}})"


def every_second(metric: str, containers: str) -> str:
    """Ask how much a counter of cAdvisor's grows in a second, all its devices and interfaces together."""
    return f"sum by (server, name) (rate({metric}{{{containers}}}[$__rate_interval]))"


def state(containers: str) -> str:
    """Ask for the number of each container's state; see STATES and UNHEALTHY."""
    (unhealthy,) = _numbered(
        "sitemedic_container_health_info", "health", {"unhealthy": UNHEALTHY}, containers
    )
    (running,) = _numbered("sitemedic_container_state_info", "state", {"running": 1}, containers)
    return " or on (server, name) ".join(
        [
            f"({unhealthy} and on (server, name) {running})",
            *_numbered("sitemedic_container_state_info", "state", STATES, containers),
        ]
    )


def health(containers: str) -> str:
    """Ask for the number of what each container's own check says; nothing where it has none."""
    return " or on (server, name) ".join(
        _numbered("sitemedic_container_health_info", "health", HEALTH, containers)
    )


def restarts(containers: str) -> str:
    """Ask how often each was restarted, by whomever, within 10 minutes; nothing where it was not."""
    return each("container:sitemedic_container_restarts:increase10m", containers)


def cpu(containers: str) -> str:
    """Ask for the share of the CPU that each may use, as ContainerHighCPU goes by: a mean over 5 minutes."""
    return each("container:container_cpu_usage_seconds:ratio_rate5m", containers)


def memory(containers: str) -> str:
    """Ask for the share of the memory that each may use: of its limit, or of the machine's memory."""
    used = each("container_memory_working_set_bytes", containers)
    return f"{used} / on (server, name) {each('sitemedic_container_memory_limit_bytes', containers)}"


def throttled(containers: str) -> str:
    """Ask for the share of their periods in which the CPU limit stopped them."""
    periods = every_second("container_cpu_cfs_periods_total", containers)
    return (
        f"{every_second('container_cpu_cfs_throttled_periods_total', containers)} "
        f"/ on (server, name) ({periods} > 0)"
    )


def badness(containers: str) -> str:
    """Ask for a number to sort by: what does not run first, then what is unhealthy, loops or is too busy."""
    wrong = {
        "down": f"100 * ({each('sitemedic_container_up', containers)} == bool 0)",
        "state": state(containers),
        "restarting": f"50 + 0 * {each(RESTARTING, containers)}",
        "cpu": f"20 + 0 * {each(HIGH_CPU, containers)}",
        "memory": f"20 + 0 * {each(HIGH_MEMORY, containers)}",
    }
    parts = [f'label_replace({expr}, "part", "{part}", "", "")' for part, expr in wrong.items()]
    return f"sum by (server, name) ({' or '.join(parts)})"


def of_site(expr: str, site: str) -> str:
    """Keep of an answer the containers in which a site lives."""
    return f"({expr}) and on (server, name) sitemedic_container_site_info{{{site}}}"


def _numbered(metric: str, label: str, numbers: dict[str, int], containers: str) -> list[str]:
    more = f"{containers}, " if containers else ""
    return [f"{number} * " + each(metric, f'{more}{label}="{word}"') for word, number in numbers.items()]
