"""The dashboard "Sitemedic: containers": what each container is, what it uses, which engines are silent."""

from functools import partial

from grafana_foundation_sdk.builders.dashboard import AnnotationQuery

from grafana.build import container_questions as ask
from grafana.build.board import CONTAINERS, Board, asked, marked, to_container, to_containers, to_site
from grafana.build.looks import BAD, CONTAINER, GOOD, HEALTH, NOTICE, UP_OR_DOWN, WARNING, steps
from grafana.build.panels import About, Panel, Series, lines, number, states
from grafana.build.tables import Column, Label, rows

CHOSEN = 'server=~"$server", name=~"$container"'
SERVERS = 'server=~"$server"'
LEGEND = "{{name}} on {{server}}"
_KILLS = f"increase(sitemedic_container_oom_kills_total{{{CHOSEN}}}[$__range])"
MOST = 20
"""Lines in a graph at one moment: more cannot be told apart."""


def board() -> Board:
    """Return the dashboard."""
    names = f"label_values(sitemedic_container_state_info{{{SERVERS}}}, name)"
    return Board(
        uid=CONTAINERS,
        title="Sitemedic: containers",
        description="Every container watched: its state, what it uses of what it may, who cannot be asked.",
        variables=[
            asked(
                "server", "Server", "Servers by name.", "label_values(sitemedic_docker_up, server)", many=True
            ),
            asked("container", "Container", "Containers by name.", names, many=True),
        ],
        annotations=[_alerts()],
        first_glance=[*_counts(), *_altogether(), _table(), _timeline(), *_around(), *_shares()],
        rows=[
            ("CPU and memory", [*_cpu(), *_memory()]),
            ("Network, block I/O and processes", _flow()),
            ("What asking the engines costs", _asking()),
        ],
    )


def _alerts() -> AnnotationQuery:
    fires = f'alertname=~"Container.*|DockerUnreachable", alertstate="firing", {CHOSEN}'
    return marked(
        "Alerts",
        f"max by (alertname, server, name) (ALERTS{{{fires}}})",
        "{{alertname}}",
        "{{name}} on {{server}}",
        WARNING,
    )


def _counts() -> list[Panel]:
    up = ask.each("sitemedic_container_up", CHOSEN)
    unhealthy = ask.each("sitemedic_container_health_info", f'{CHOSEN}, health="unhealthy"')
    held = partial(ask.each, containers=CHOSEN)
    counted = (
        ("Running", "Containers that run: not paused, not restarting.", f"{up} == 1", GOOD),
        ("Not running", "Containers that are watched and do not run.", f"{up} == 0", BAD),
        ("Unhealthy", "Containers whose own health check fails.", unhealthy, BAD),
        ("Restarting", "Containers for which ContainerRestarting fires.", held(ask.RESTARTING), BAD),
        ("High CPU", "Containers for which ContainerHighCPU fires.", held(ask.HIGH_CPU), NOTICE),
        ("High memory", "Containers for which ContainerHighMemory fires.", held(ask.HIGH_MEMORY), NOTICE),
    )
    return [
        number(
            About(title, description, "short", width=3, height=3),
            Series(f"count({expr}) or vector(0)"),
            steps(GOOD, (1, colour)),
        )
        for title, description, expr, colour in counted
    ]


def _altogether() -> list[Panel]:
    silent = f"count(max by (server) (sitemedic_docker_up{{{SERVERS}}}) == 0) or vector(0)"
    return [
        number(
            About("OOM kills", "By the kernel, within the time shown.", "short", width=3, height=3),
            Series(f"sum({_KILLS}) or vector(0)"),
            steps(GOOD, (1, BAD)),
            decimals=0,
        ),
        number(
            About("Engines silent", "Servers whose Docker engine cannot be asked.", "short", 3, 3),
            Series(silent),
            steps(GOOD, (1, BAD)),
        ),
    ]


def _table() -> Panel:
    about = About(
        "Containers, the worst first",
        "CPU and memory are shares of the container's limit, or of the machine's where it has none. Above "
        "the number of sites.yml beside them its alert fires. A click shows one container alone.",
        "none",
        width=24,
        height=8,
    )
    cells: list[Label | Column] = [
        Column("Badness", ask.badness(CHOSEN), hidden=True),
        Label("name", "Container", to_container("__data.fields.Server", "__value.raw")),
        Label("server", "Server", to_containers("__value.raw")),
        Column("State", ask.state(CHOSEN), mappings=CONTAINER),
        Column("Health", ask.health(CHOSEN), mappings=HEALTH),
        Column("Exit code", ask.each("sitemedic_container_exit_code", CHOSEN)),
        Column("Restarts, 10 min", ask.restarts(CHOSEN), decimals=0),
        Column("Alert at", ask.each("sitemedic_container_restarts_threshold", CHOSEN)),
        Column("OOM kills", f"max by (server, name) ({_KILLS})", decimals=0),
        *_used("CPU", ask.cpu(CHOSEN), "sitemedic_container_cpu_threshold_ratio"),
        *_used("Memory", ask.memory(CHOSEN), "sitemedic_container_memory_threshold_ratio"),
        Column("Started", f"1000 * {ask.each('container_start_time_seconds', CHOSEN)}", "dateTimeFromNow"),
        Label("image", "Image"),
        Column("Of", f"max by (server, name, image) (sitemedic_container_info{{{CHOSEN}}})", hidden=True),
    ]
    return rows(about, cells, worst_first="Badness")


def _used(what: str, share: str, threshold: str) -> tuple[Column, Column]:
    return (
        Column(what, share, "percentunit", decimals=0),
        Column(f"{what} alert at", ask.each(threshold, CHOSEN), "percentunit", decimals=0),
    )


def _timeline() -> Panel:
    about = About(
        "State", "What each container is, and whether it is healthy; a gap is no data.", "short", 10, 4
    )
    return states(
        about,
        Series(ask.state(CHOSEN), LEGEND),
        CONTAINER,
        to_container("__field.labels.server", "__field.labels.name"),
    )


def _around() -> list[Panel]:
    last = f"1000 * max by (server) (sitemedic_docker_last_success_timestamp_seconds{{{SERVERS}}})"
    engines: list[Label | Column] = [
        Label("server", "Server", to_containers("__value.raw")),
        Column("Engine", f"max by (server) (sitemedic_docker_up{{{SERVERS}}})", mappings=UP_OR_DOWN),
        Label("reason", "Reason"),
        Column("Why", f"max by (server, reason) (sitemedic_docker_failure{{{SERVERS}}})", hidden=True),
        Column("Last answer", last, "dateTimeFromNow"),
        Column("Containers", f"max by (server) (sitemedic_containers{{{SERVERS}}})"),
    ]
    sites: list[Label | Column] = [
        Label("site", "Site", to_site("__value.raw")),
        Label("name", "Container"),
        Label("server", "Server"),
        Column(
            "Lives", f"max by (site, name, server) (sitemedic_container_site_info{{{CHOSEN}}})", hidden=True
        ),
    ]
    silent = "Where an engine cannot be asked, its containers keep their last state for 5 minutes."
    return [
        rows(About("Engines", f"The reasons: docs/containers.md. {silent}", "none", 8, 4), engines),
        rows(About("Sites in them", "By their `recover:` blocks; a click opens one.", "none", 6, 4), sites),
    ]


def _shares() -> list[Panel]:
    def lowest(key: str) -> Series:
        return Series(f"min(sitemedic_container_{key}_threshold_ratio{{{CHOSEN}}})", "limit")

    beside = "The dashed line is the lowest `{}` of the containers shown. {} goes by the mean over 5 minutes."
    return [
        lines(
            About(f"{what}, share of what it may use", beside.format(key, alert), "percentunit", 12, 6),
            [Series(f"topk({MOST}, {share})", LEGEND), lowest(key)],
            limit="/^limit$/",
        )
        for what, key, alert, share in (
            ("CPU", "cpu", "ContainerHighCPU", ask.cpu(CHOSEN)),
            ("Memory", "memory", "ContainerHighMemory", ask.memory(CHOSEN)),
        )
    ]


def _cpu() -> list[Panel]:
    used = ask.every_second("container_cpu_usage_seconds_total", CHOSEN)
    return [
        lines(
            About("CPU", "Cores used, as Docker counts them.", "none", 8, 8),
            [Series(f"topk({MOST}, {used})", LEGEND)],
        ),
        lines(
            About("CPU, user and system", "Cores used by all containers shown together.", "none", 8, 8),
            [
                Series(
                    f"sum(rate(container_cpu_{kind}_seconds_total{{{CHOSEN}}}[$__rate_interval]))", kind
                )
                for kind in ("user", "system")
            ],
            stacked=True,
        ),
        lines(
            About(
                "Throttled",
                "Share of a container's periods in which its CPU limit stopped it; only those with one.",
                "percentunit",
                8,
                8,
            ),
            [Series(f"topk({MOST}, {ask.throttled(CHOSEN)})", LEGEND)],
        ),
    ]  # fmt: skip


def _memory() -> list[Panel]:
    limits = f"{ask.each('container_spec_memory_limit_bytes', CHOSEN)} > 0"
    rss = "sum(container_memory_{}{{{}}})".format
    return [
        lines(
            About(
                "Memory",
                "The working set: what cannot be given back at once. Dashed: the limits there are.",
                "bytes",
                8,
                8,
            ),
            [
                Series(f"topk({MOST}, {ask.each('container_memory_working_set_bytes', CHOSEN)})", LEGEND),
                Series(limits, f"limit of {LEGEND}"),
            ],
            limit="/^limit of /",
        ),
        lines(
            About("Memory by kind", "All containers shown together.", "bytes", 8, 8),
            [Series(rss("rss", CHOSEN), "resident"), Series(rss("cache", CHOSEN), "cache")],
            stacked=True,
        ),
        lines(
            About("Restarts and OOM kills", "Per interval shown, by container.", "short", 8, 8),
            [
                Series(f"increase(sitemedic_container_restarts_total{{{CHOSEN}}}[$__rate_interval]) > 0",
                       f"{LEGEND} restarted"),
                Series(f"increase(sitemedic_container_oom_kills_total{{{CHOSEN}}}[$__rate_interval]) > 0",
                       f"{LEGEND} killed"),
            ],
        ),
    ]  # fmt: skip


def _flow() -> list[Panel]:
    faults = " + ".join(
        ask.every_second(f"container_network_{way}_{what}_total", CHOSEN)
        for way in ("receive", "transmit")
        for what in ("errors", "packets_dropped")
    )
    both = (
        ("Network", "All interfaces of a container.", "network_receive", "network_transmit", "in", "out"),
        ("Block I/O", "All devices of a container.", "fs_reads", "fs_writes", "read", "written"),
    )
    return [
        *(
            lines(
                About(title, f"Bytes per second. {description}", "binBps", 6, 8),
                [
                    Series(f"topk({MOST}, {ask.every_second(f'container_{kind}_bytes_total', CHOSEN)})",
                           f"{LEGEND} {word}")
                    for kind, word in ((one, first), (other, second))
                ],
            )
            for title, description, one, other, first, second in both
        ),
        lines(
            About("Packets lost", "Dropped or faulty, both ways, per second.", "cps", 6, 8),
            [Series(f"topk({MOST}, {faults})", LEGEND)],
        ),
        lines(
            About("Processes", "And threads, as the pids limit counts them.", "short", 6, 8),
            [Series(f"topk({MOST}, {ask.each('container_processes', CHOSEN)})", LEGEND)],
        ),
    ]  # fmt: skip


def _asking() -> list[Panel]:
    calls = f"sum by (server, call) (rate(sitemedic_docker_calls_total{{{SERVERS}}}[$__rate_interval]))"
    took, made = (
        f"sum by (server, call) (rate({metric}{{{SERVERS}}}[$__rate_interval]))"
        for metric in (
            "sitemedic_docker_call_duration_seconds_sum",
            "sitemedic_docker_call_duration_seconds_count",
        )
    )
    return [
        lines(
            About("Questions to the engines", "Per second, by kind.", "cps", 12, 8),
            [Series(calls, "{{call}} to {{server}}")],
        ),
        lines(
            About("How long an answer takes", "On average, by kind.", "s", 12, 8),
            [Series(f"{took} / ({made} > 0)", "{{call}} to {{server}}")],
        ),
    ]
