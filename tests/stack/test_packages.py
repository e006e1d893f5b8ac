import re
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from stack import packages, programs
from stack.packages import PACKAGES, PackageError, ensure, install, plan
from stack.programs import find_program
from stack.tests_cli import PROGRAMS

TESTS = Path(__file__).parents[1]
# Of every Debian, or too large to be installed for a few tests.
NOT_OFFERED = {"unshare", "mount", "setpriv", "nsenter", "ip", "shellcheck", "chromium"}


def having(*names):
    return lambda name: Path("/usr/bin") / name if name in names else None


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A Debian machine on which we are root, without a single program, and whose apt-get is ours."""
    calls = []
    answers = []

    def apt(*command):
        calls.append((command, packages._POLICY.read_text() if packages._POLICY.exists() else None))
        return answers.pop(0) if answers else CompletedProcess(command, 0, "")

    monkeypatch.setattr(packages, "_POLICY", tmp_path / "policy-rc.d")
    monkeypatch.setattr(packages._no_service_starts.__wrapped__, "__defaults__", (tmp_path / "policy-rc.d",))
    monkeypatch.setattr(packages, "_apt", apt)
    monkeypatch.setattr(packages, "_turn_off", lambda units: calls.append((("off", *units), None)))
    monkeypatch.setattr(packages, "can_install", lambda: True)
    monkeypatch.setattr(packages, "plan", lambda programs: plan(programs, having()))
    return calls, answers


def test_what_is_there_needs_no_package():
    assert plan(("prometheus", "promtool"), having("prometheus", "promtool")).packages == ()


def test_a_package_is_named_once_for_all_its_programs():
    wanted = plan(("prometheus", "promtool", "alertmanager"), having())
    assert wanted.programs == ("prometheus", "promtool", "alertmanager")
    assert wanted.packages == ("prometheus", "prometheus-alertmanager")
    assert wanted.units == ("prometheus.service", "prometheus-alertmanager.service")


def test_installing_brings_no_recommended_packages():
    assert plan(("sshd",), having()).command == (
        *("apt-get", "install", "--yes", "--no-install-recommends"),
        "openssh-server",
    )


def test_no_service_may_start_while_packages_are_installed(machine):
    calls, _ = machine
    install(plan(("prometheus",), having()), lambda _: None)
    assert calls[0][1].endswith("exit 101\n")
    assert not packages._POLICY.exists()
    assert calls[-1][0] == ("off", "prometheus.service")


def test_a_policy_that_was_there_stays(machine):
    calls, _ = machine
    packages._POLICY.write_text("#!/bin/sh\nexit 0\n")
    install(plan(("prometheus",), having()), lambda _: None)
    assert calls[0][1] == packages._POLICY.read_text() == "#!/bin/sh\nexit 0\n"


def test_a_policy_that_a_killed_start_left_is_removed(machine):
    packages._POLICY.write_text(packages._OUR_POLICY)
    install(plan(("prometheus",), having()), lambda _: None)
    assert not packages._POLICY.exists()


def test_package_lists_are_fetched_when_the_first_try_fails(machine):
    calls, answers = machine
    answers.append(CompletedProcess((), 100, "E: Unable to locate package"))
    install(plan(("prometheus",), having()), lambda _: None)
    assert [call[0][1] for call in calls[:3]] == ["install", "update", "install"]


def test_a_failed_install_tells_the_command_and_its_last_words(machine):
    _, answers = machine
    failed = CompletedProcess((), 100, "Reading lists\nE: Temporary failure resolving 'host'\n")
    answers.extend([failed, failed, failed])
    with pytest.raises(PackageError) as caught:
        install(plan(("prometheus",), having()), lambda _: None)
    assert "apt-get install --yes --no-install-recommends prometheus" in str(caught.value)
    assert "Temporary failure resolving" in str(caught.value)
    assert not packages._POLICY.exists()


def test_an_ordinary_user_is_told_what_to_run(machine, monkeypatch):
    calls, _ = machine
    monkeypatch.setattr(packages, "can_install", lambda: False)
    with pytest.raises(PackageError) as caught:
        ensure(("prometheus", "alertmanager"), yes=True, say=print)
    told = str(caught.value)
    assert "sudo apt-get install --no-install-recommends prometheus prometheus-alertmanager" in told
    assert "sudo systemctl disable --now prometheus.service prometheus-alertmanager.service" in told
    assert calls == []


def test_a_program_that_stays_missing_after_the_install_is_told(machine):
    with pytest.raises(PackageError, match="prometheus is still missing from PATH"):
        ensure(("prometheus",), yes=True, say=lambda _: None)


def test_a_service_is_kept_from_boots_with_and_without_systemd():
    with_systemd = packages._off("ssh.service", with_systemd=True)
    assert [command[:2] for command in with_systemd] == [("systemctl", "disable")]
    assert packages._off("ssh.service", with_systemd=False) == (
        ("deb-systemd-helper", "disable", "ssh.service"),
        ("update-rc.d", "ssh", "disable"),
    )


def test_what_a_test_needs_is_offered_by_sitemedic_test():
    files = [path.read_text() for path in TESTS.rglob("test_*.py")]
    marks = re.findall(r"mark\.needs\(([^)]*)\)", "\n".join(files))
    needed = set(re.findall(r'"([^"]+)"', "".join(marks)))
    assert "libfaketime" in needed
    offered = {PACKAGES[name] for name in PROGRAMS}
    assert {PACKAGES.get(name, name) for name in needed - NOT_OFFERED} <= offered


def test_a_library_is_found_in_the_folder_of_its_architecture(tmp_path, monkeypatch):
    monkeypatch.setattr(programs, "_LIBRARIES", tmp_path)
    assert find_program("libfaketime") is None
    assert plan(("libfaketime",)).packages == ("libfaketime",)
    library = tmp_path / "aarch64-linux-gnu/faketime/libfaketimeMT.so.1"
    library.parent.mkdir(parents=True)
    library.touch()
    assert find_program("libfaketime") == library
    assert plan(("libfaketime",)).packages == ()
