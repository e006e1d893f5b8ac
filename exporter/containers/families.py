"""The metric families of containers and their engines, in the order in which they are exposed.

`container_*` names are cAdvisor's, only where the meaning is the same.
"""

from exporter.families import Family, gauge


def _counter(name: str, text: str) -> Family:
    return Family(name, "counter", text)


STATE = (
    gauge("sitemedic_container_up", "Whether the container runs, neither paused nor between two starts."),
    gauge("sitemedic_container_state_info", "1 with the container's state; absent: there is none."),
    gauge(
        "sitemedic_container_down_since_timestamp_seconds",
        "Since when the container has not been up; absent while it is.",
    ),
    gauge("sitemedic_container_health_info", "1 with what the container's own health check says."),
    gauge(
        "sitemedic_container_unhealthy_since_timestamp_seconds",
        "Since when its health check has failed; absent while it does not.",
    ),
    gauge("sitemedic_container_exit_code", "The exit code of the container's last end."),
    _counter(
        "sitemedic_container_restarts_total",
        "Starts of the container after the first that was seen, by whomever, also of one made anew.",
    ),
    _counter("sitemedic_container_oom_kills_total", "Kills in the container for want of memory."),
    gauge("container_start_time_seconds", "Start time of the container since unix epoch in seconds."),
    gauge("sitemedic_container_info", "1 with the container's image and its compose service."),
    gauge("sitemedic_container_site_info", "1 for each site that lives in the container."),
    gauge("sitemedic_container_cpu_threshold_ratio", "The share of its CPU limit above which it alerts."),
    gauge("sitemedic_container_memory_threshold_ratio", "The share of its memory above which it alerts."),
    gauge("sitemedic_container_restarts_threshold", "The restarts within 10 minutes from which it alerts."),
    gauge("sitemedic_container_cpu_limit_cores", "Its CPU limit; the machine's cores where it has none."),
    gauge("sitemedic_container_memory_limit_bytes", "Its memory limit; the machine's where it has none."),
)
"""What is known of a container, also while it does not run."""

NETWORK = tuple(
    _counter(f"container_network_{way}_{what}_total", f"Cumulative count of {text} {done}.")
    for way, done in (("receive", "received"), ("transmit", "transmitted"))
    for what, text in (
        ("bytes", "bytes"),
        ("packets", "packets"),
        ("errors", "errors while packets were"),
        ("packets_dropped", "packets dropped while being"),
    )
)

USAGE = (
    _counter("container_cpu_usage_seconds_total", "Cumulative cpu time consumed in seconds."),
    _counter("container_cpu_user_seconds_total", "Cumulative user cpu time consumed in seconds."),
    _counter("container_cpu_system_seconds_total", "Cumulative system cpu time consumed in seconds."),
    _counter("container_cpu_cfs_periods_total", "Number of elapsed enforcement period intervals."),
    _counter("container_cpu_cfs_throttled_periods_total", "Number of throttled period intervals."),
    _counter(
        "container_cpu_cfs_throttled_seconds_total",
        "Total time duration the container has been throttled.",
    ),
    gauge("container_memory_usage_bytes", "Current memory usage in bytes, including all memory."),
    gauge("container_memory_working_set_bytes", "Current working set in bytes."),
    gauge("container_memory_rss", "Size of RSS in bytes."),
    gauge("container_memory_cache", "Number of bytes of page cache memory."),
    gauge("container_spec_memory_limit_bytes", "Memory limit for the container; 0: none."),
    gauge("container_spec_cpu_quota", "CPU quota of the container, in microseconds of a period."),
    gauge("container_spec_cpu_period", "CPU period of the container, in microseconds."),
    *NETWORK,
    _counter("container_fs_reads_bytes_total", "Cumulative count of bytes read."),
    _counter("container_fs_writes_bytes_total", "Cumulative count of bytes written."),
    gauge("container_processes", "Number of processes running inside the container."),
    _counter("container_oom_events_total", "Count of out of memory events observed for the container."),
    gauge("container_last_seen", "Last time the container's use was read."),
)
"""What a running container uses."""

CONTAINER = (*STATE, *USAGE)

SERVER = (
    gauge("sitemedic_docker_up", "Whether the server's Docker engine could be asked."),
    gauge("sitemedic_docker_failure", "1 with the reason why it cannot be asked; absent while it can."),
    gauge("sitemedic_docker_last_success_timestamp_seconds", "When it last answered."),
    _counter("sitemedic_docker_calls_total", "Calls to it; of events, how often their stream was opened."),
    Family("sitemedic_docker_call_duration_seconds", "summary", "How long the calls took."),
    gauge("sitemedic_containers", "Containers watched there."),
)
"""What is known of a server's engine."""
