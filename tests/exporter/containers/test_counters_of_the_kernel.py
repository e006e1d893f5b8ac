"""The kernel's files, versions 1 and 2, are read the same here and through the wrapper on each shell."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from exporter.containers.cgroup_files import CgroupFiles
from exporter.containers.cgroups import Clock, usages_of
from exporter.containers.model import Network, Usage
from tests.exporter.containers import recorded
from tests.remediator.wrapped import Wrapped, shells

OTHER = "b" * 64
USED = Usage(
    time=0.0,
    cpu=pytest.approx(93.417252),
    cpu_user=pytest.approx(61.0),
    cpu_system=pytest.approx(32.417252, abs=0.01),
    cpu_periods=1200,
    cpu_throttled_periods=34,
    cpu_throttled=pytest.approx(5.6),
    memory=64749568,
    memory_working_set=64749568 - 15728640,
    memory_rss=41943040,
    memory_cache=20971520,
    read_bytes=1048676,
    written_bytes=4096,
    processes=9,
    oom_kills=2,
    networks=(Network("eth0", 9123456, 3400123, 7001, 6100, 1, 3, 2, 4),),
)
VERSIONS = pytest.mark.parametrize("version", [1, 2])
SHELLS = [pytest.param(words, id=Path(words[0]).name) for words in shells()]


@VERSIONS
def test_the_files_of_this_machine_are_read(tmp_path: Path, version: int) -> None:
    files = CgroupFiles(recorded.tree(tmp_path, version), recorded.machine(tmp_path))
    found = files.usage([recorded.ID, OTHER])
    assert {one: replace(usage, time=0.0) for one, usage in found.items()} == {recorded.ID: USED}
    assert files.usage([recorded.ID], [recorded.ID])[recorded.ID].networks == ()


@VERSIONS
def test_a_container_that_has_ended_is_left_out_and_one_that_began_is_found(
    tmp_path: Path, version: int
) -> None:
    root = recorded.tree(tmp_path, version)
    files = CgroupFiles(root, recorded.machine(tmp_path))
    assert files.usage([recorded.ID])
    shutil.rmtree(root)
    assert files.usage([recorded.ID]) == {}
    recorded.tree(tmp_path, version)
    assert files.usage([recorded.ID])


@VERSIONS
def test_files_that_are_not_for_us_leave_their_part_out(tmp_path: Path, version: int) -> None:
    root = recorded.tree(tmp_path, version)
    for path in (*root.rglob("io.stat"), *root.rglob("blkio*recursive"), *root.rglob("memory.stat")):
        path.unlink()
    used = CgroupFiles(root, tmp_path / "no-proc").usage([recorded.ID])[recorded.ID]
    assert (used.read_bytes, used.memory_rss, used.networks) == (0, 0, ())
    assert used.memory == used.memory_working_set == 64749568


def wrapped(tmp_path: Path, version: int, shell: tuple[str, ...], rows: str) -> Wrapped:
    found = Wrapped(tmp_path / "w", shell=shell)
    root, proc = recorded.tree(tmp_path, version), recorded.machine(tmp_path)
    text = found.file.read_text()
    for old, new in (("cgroups=/sys/fs/cgroup\n", f"cgroups={root}\n"), ("proc=/proc\n", f"proc={proc}\n")):
        assert text.count(f"\n{old}") == 1
        text = text.replace(f"\n{old}", f"\n{new}")
    found.file.write_text(text)
    program = found.folder / "bin" / "docker"
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{rows}END\n")
    program.chmod(0o755)
    return found


@VERSIONS
@pytest.mark.parametrize("shell", SHELLS)
def test_the_wrapper_reads_the_same(tmp_path: Path, version: int, shell: tuple[str, ...]) -> None:
    rows = f'{recorded.ID} :bridge web-1 "" "" ""\n{OTHER} :bridge other "" "" ""\n'
    here = wrapped(tmp_path, version, shell, rows)
    here.allow("watch web-*")
    done = here.run("sitemedic-wrapper usage")
    assert (done.returncode, done.stderr) == (0, "")
    first, _, rest = done.stdout.partition("\n")
    assert first == "sitemedic-wrapper 2"
    found = usages_of(rest, Clock())
    assert {one: replace(usage, time=0.0) for one, usage in found.items()} == {recorded.ID: USED}
    assert here.run("sitemedic-wrapper machine").stdout.splitlines()[1] == f"machine 3 {16316412 * 1024}"


@pytest.mark.parametrize(
    "rows", [f'{recorded.ID} :host web-1 "" "" ""\n', f'{recorded.ID} : web-1 "" "" ""\n']
)
def test_the_hosts_interfaces_are_nobodys(tmp_path: Path, rows: str) -> None:
    here = wrapped(tmp_path, 2, (), rows)
    here.allow("watch *")
    text = here.run("sitemedic-wrapper usage").stdout.partition("\n")[2]
    used = usages_of(text, Clock())[recorded.ID]
    assert [one.interface for one in used.networks] == ([] if ":host" in rows else ["eth0"])


def test_the_time_between_two_readings_is_exact_though_date_knows_whole_seconds() -> None:
    clock = Clock()
    clock.set(1_767_225_600, 100.95)
    first = clock.at(100.95)
    clock.set(1_767_225_601, 101.05)
    assert clock.at(101.05) - first == pytest.approx(0.10)
    clock.set(1_767_229_201, 102.05)  # somebody put the clock right
    assert clock.at(102.05) == 1_767_229_201


@pytest.mark.parametrize(
    "text",
    [
        "Welcome!",
        "now 1 2\ncpu.stat usage_usec 1",
        "now 1 2\n= x 3\ncpuacct.usage many",
        "= x 3\ncpuacct.usage 1\nmemory.usage_in_bytes 1",
        "now 1 2\n= x 3\nnet eth0: 1 2",
        "now 1 2\n=",
    ],
)
def test_what_is_none_of_it_is_refused(text: str) -> None:
    with pytest.raises((ValueError, LookupError)):
        usages_of(text, Clock())
