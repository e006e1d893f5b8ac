"""The kernel's files of one container, as a machine with cgroups version 2 has them, and one with 1."""

from pathlib import Path

ID = "3f8a" * 16
PID = "4711"
_IN, _OUT = (
    "bytes packets errs drop fifo frame compressed multicast",
    "bytes packets errs drop fifo colls carrier",
)
NET = f"""Inter-|   Receive                                                |  Transmit
 face |{_IN}|{_OUT} compressed
    lo:    1042      12    0    0    0     0          0         0     1042      12    0    0   0   0    0    0
  eth0: 9123456    7001    1    2    0     0          0         0  3400123    6100    3    4   0   0    0    0
"""
CPU_2 = """usage_usec 93417252
user_usec 61000000
system_usec 32417252
core_sched.force_idle_usec 0
nr_periods 1200
nr_throttled 34
throttled_usec 5600000
nr_bursts 0
burst_usec 0
"""
MEMORY_2 = """anon 41943040
file 20971520
kernel 1835008
kernel_stack 114688
shmem 0
file_mapped 8388608
file_dirty 0
inactive_anon 41910272
active_anon 32768
inactive_file 15728640
active_file 5242880
unevictable 0
workingset_refault_file 12
"""
VERSION_2 = {
    "cpu.stat": CPU_2,
    "memory.current": "64749568\n",
    "memory.stat": MEMORY_2,
    "memory.events": "low 0\nhigh 0\nmax 7\noom 2\noom_kill 2\noom_group_kill 0\n",
    "memory.max": "134217728\n",
    "io.stat": "8:0 rbytes=1048576 wbytes=4096 rios=20 wios=1 dbytes=0 dios=0\n253:0 \n"
    "7:1 rbytes=100 wbytes=0\n",
    "pids.current": "9\n",
    "cgroup.procs": f"{PID}\n4712\n",
}
VERSION_1 = {
    "cpuacct/cpuacct.usage": "93417252000\n",
    "cpuacct/cpuacct.stat": "user 6100\nsystem 3241\n",
    "cpu/cpu.stat": "nr_periods 1200\nnr_throttled 34\nthrottled_time 5600000000\n",
    "memory/memory.usage_in_bytes": "64749568\n",
    "memory/memory.stat": "cache 1\nrss 2\ninactive_file 3\ntotal_cache 20971520\ntotal_rss 41943040\n"
    "total_inactive_file 15728640\n",
    "memory/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
    "memory/cgroup.procs": f"{PID}\n4712\n",
    "blkio/blkio.throttle.io_service_bytes_recursive": "8:0 Read 1048676\n8:0 Write 4096\n8:0 Sync 7\n"
    "8:0 Async 9\n8:0 Total 1052772\nTotal 1052772\n",
    "pids/pids.current": "9\n",
}


def machine(folder: Path) -> Path:
    """Write a machine's /proc, with the container's process in it."""
    proc = folder / "proc"
    (proc / PID / "net").mkdir(parents=True)
    (proc / PID / "net" / "dev").write_text(NET)
    (proc / "uptime").write_text("5000.25 9000.00\n")
    (proc / "stat").write_text("cpu  1 2 3\ncpu0 1 2 3\ncpu1 1 2 3\ncpu2 1 2 3\nintr 7\nbtime 1767225600\n")
    (proc / "meminfo").write_text("MemTotal:       16316412 kB\nMemFree:        1 kB\n")
    return proc


def tree(folder: Path, version: int) -> Path:
    """Write a machine's /sys/fs/cgroup: with systemd's names for version 2, Docker's own for version 1."""
    root = folder / "cgroup"
    if version == 2:
        place = root / "system.slice" / f"docker-{ID}.scope"
        files = {place / name: text for name, text in VERSION_2.items()}
        files[root / "cgroup.controllers"] = "cpuset cpu io memory pids\n"
    else:
        files = {}
        for name, text in VERSION_1.items():
            controller, _, file = name.partition("/")
            files[root / controller / "docker" / ID / file] = text
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root
