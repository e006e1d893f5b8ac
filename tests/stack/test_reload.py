import errno
import os
import threading
from dataclasses import replace

import pytest
import yaml

from core.faults import ConfigError
from stack import reload as reloading
from stack.errors import StackError
from stack.home import Home
from stack.reload import Reloader, read, write
from stack.render import render
from stack.services import services
from stack.supervise import Supervisor
from tests.ports import free_port

SITES = """
defaults: {email: ops@example.com}
sites:
  - {name: www, url: "http://127.0.0.1:1/"}
"""


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


class Running:
    """A supervisor whose services are only names; notes what is started again."""

    def __init__(self, home, configuration):
        self._home = home
        self._configuration = configuration
        self.replaced = []

    def services(self):
        return services(self._home, self._configuration.settings, self._configuration.environ)

    def pids(self):
        return {service.name: 1 for service in self.services()}

    def replace(self, service):
        self.replaced.append(service.name)


@pytest.fixture
def home(tmp_path):
    (tmp_path / "sites.yml").write_text(SITES)
    (tmp_path / ".env").write_text("SMTP_HOST=127.0.0.1\nSMTP_TLS=none\nSMTP_FROM=a@example.com\n")
    return Home(tmp_path, demo=False)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def stack(home, clock, monkeypatch):
    """Give what is said, what is reloaded, the supervisor and the reloader of a stack that runs."""
    said, reloaded = [], []

    def reload(service, pid):
        reloaded.append(service.name)
        return True

    monkeypatch.setattr(reloading, "reload", reload)
    configuration = read(home, lambda environ: environ)
    write(home, configuration)
    running = Running(home, configuration)
    return (
        said,
        reloaded,
        running,
        Reloader(home, configuration, lambda environ: environ, running, said.append, clock),
    )


def rendered(home):
    return yaml.safe_load((home.rendered / "alertmanager/alertmanager.yml").read_text())


def test_what_a_sick_disk_did_not_take_is_tried_again_until_it_does(home, stack, clock):
    said, reloaded, _, reloader = stack
    (home.root / "sites.yml").write_text(SITES.replace("ops@", "team@"))
    folder = home.rendered / "alertmanager"
    folder.rename(home.rendered / "aside")
    folder.write_text("no folder any more")
    assert not reloader.look()
    clock.now += 60
    assert not reloader.look()
    assert (len(said), reloaded) == (1, [])
    assert "The changed configuration is not used yet: " in said[0]
    assert "cannot be written" in said[0]
    folder.unlink()
    (home.rendered / "aside").rename(folder)
    clock.now += 60
    assert reloader.look()
    assert (said[1:], "alertmanager" in reloaded) == (["The changed configuration is in use"], True)
    assert "team@example.com" in (folder / "alertmanager.yml").read_text()
    assert not reloader.look()


def half_written(home, monkeypatch):
    """Let Prometheus's half of a change not be taken by the disk, once Alertmanager's is written."""

    def on_a_full_disk(document, settings, folder):
        done = render(document, settings, folder)
        if folder == home.rendered:
            raise OSError(errno.ENOSPC, "No space left on device", str(folder / "prometheus"))
        return done

    monkeypatch.setattr(reloading, "render", on_a_full_disk)


def test_a_half_written_change_is_loaded_in_the_end_whatever_was_wrong_meanwhile(home, stack, monkeypatch):
    said, reloaded, _, reloader = stack
    with monkeypatch.context() as full:
        half_written(home, full)
        home.sites_file.write_text(SITES.replace("ops@", "team@"))
        assert not reloader.look()
        assert "team@example.com" in str(rendered(home))
    home.sites_file.write_text("sites: [")
    assert not reloader.look()
    home.sites_file.write_text(SITES.replace("ops@", "team@"))
    assert reloader.look()
    assert reloaded == ["alertmanager"]
    assert said[2:] == ["The changed configuration is in use"]


def test_a_half_written_change_that_is_taken_back_reloads_nobody(home, stack, monkeypatch):
    _, reloaded, _, reloader = stack
    with monkeypatch.context() as full:
        half_written(home, full)
        home.sites_file.write_text(SITES.replace("ops@", "team@"))
        assert not reloader.look()
    home.sites_file.write_text(SITES)
    assert reloader.look()
    assert reloaded == []


def test_a_sick_disk_is_tried_ever_more_seldom_and_at_once_after_a_change(home, stack, clock, monkeypatch):
    said, _, _, reloader = stack
    tried = []

    def failing(*_):
        tried.append(clock.now)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(reloading, "write", failing)
    home.sites_file.write_text(SITES.replace("ops@", "team@"))
    for clock.now in range(100):
        reloader.look()
    assert tried == [0, 2, 6, 14, 30, 60, 90]
    assert len(said) == 1
    home.sites_file.write_text(SITES.replace("ops@", "crew@"))
    for clock.now in range(100, 105):
        reloader.look()
    assert tried[7:] == [100, 102]
    assert len(said) == 2


def test_who_did_not_take_a_change_over_is_reloaded_with_the_next_one(home, stack, monkeypatch):
    _, reloaded, _, reloader = stack
    takes = reloading.reload
    monkeypatch.setattr(reloading, "reload", lambda *_: False)
    home.sites_file.write_text(SITES.replace("ops@", "team@"))
    assert reloader.look()
    monkeypatch.setattr(reloading, "reload", takes)
    home.sites_file.write_text(SITES.replace("ops@", "team@").replace("127.0.0.1:1/", "127.0.0.1:1/new"))
    assert reloader.look()
    assert reloaded == ["alertmanager"]


def test_nothing_happens_while_nothing_changes(stack):
    said, reloaded, running, reloader = stack
    assert not reloader.look()
    assert (said, reloaded, running.replaced) == ([], [], [])


def test_a_changed_sites_file_is_rendered_and_reloaded_without_a_restart(home, stack):
    said, reloaded, running, reloader = stack
    home.sites_file.write_text(SITES.replace("ops@", "night@"))
    assert reloader.look()
    assert "night@example.com" in str(rendered(home))
    assert (reloaded, running.replaced) == (["alertmanager"], [])
    assert said == ["The changed configuration is in use"]


def test_what_is_written_while_a_change_is_tried_out_is_brought_in_next(home, stack, monkeypatch):
    *_, reloader = stack

    def edited_meanwhile(home, configuration):
        monkeypatch.setattr(reloading, "write", write)
        (home.root / "sites.yml").write_text(SITES.replace("ops@", "night@"))
        return write(home, configuration)

    monkeypatch.setattr(reloading, "write", edited_meanwhile)
    (home.root / "sites.yml").write_text(SITES.replace("ops@", "day@"))
    assert reloader.look()
    assert "day@example.com" in str(rendered(home))
    assert reloader.look()
    assert "night@example.com" in str(rendered(home))
    assert not reloader.look()


def test_only_those_are_reloaded_whose_own_files_have_changed(home, stack):
    _, reloaded, _, reloader = stack
    home.sites_file.write_text(SITES.replace("127.0.0.1:1/", "127.0.0.1:1/new"))
    assert reloader.look()
    assert reloaded == []
    home.sites_file.write_text(SITES + "alerting: {scrape_interval: 20s}\n")
    assert reloader.look()
    assert reloaded == ["prometheus"]


def test_a_broken_change_is_told_with_every_fault_and_changes_nothing(home, stack):
    said, reloaded, running, reloader = stack
    before = {path: path.read_bytes() for path in home.rendered.rglob("*") if path.is_file()}
    home.sites_file.write_text(SITES.replace("url:", "ulr:"))
    (home.root / ".env").write_text("SMTP_HOST=127.0.0.1\nSMTP_PORT=many\n")
    assert not reloader.look()
    [told] = said
    assert told.startswith("The changed configuration is not used; everything runs on as before:")
    assert "sites[0]" in told
    assert "SMTP_PORT" in told
    assert {path: path.read_bytes() for path in before} == before
    assert (reloaded, running.replaced) == ([], [])


def test_a_mended_change_is_taken_over(home, stack):
    _, _, _, reloader = stack
    home.sites_file.write_text("sites: [")
    assert not reloader.look()
    home.sites_file.write_text(SITES.replace("www", "web"))
    assert reloader.look()
    assert [site.name for site in reloader.configuration.document.sites] == ["web"]


def test_a_new_linode_token_starts_the_remediator_again_and_nothing_else(home, stack):
    said, _, running, reloader = stack
    with (home.root / ".env").open("a") as file:
        file.write("LINODE_TOKEN=new\n")
    assert reloader.look()
    assert running.replaced == ["remediator"]
    assert "new" not in "".join(said).replace("new settings", "")


def test_a_changed_port_waits_for_the_next_start(home, stack):
    said, _, running, reloader = stack
    with (home.root / ".env").open("a") as file:
        file.write("PROMETHEUS_PORT=19999\n")
    assert reloader.look()
    assert said[0] == "PROMETHEUS_PORT: used from the next start of ./sitemedic up on"
    assert running.replaced == []
    assert "19999" not in (home.rendered / "prometheus/prometheus.yml").read_text()


def test_an_env_file_that_appears_later_is_noticed(tmp_path, monkeypatch):
    (tmp_path / "sites.yml").write_text(SITES)
    home = Home(tmp_path, demo=False)
    monkeypatch.setattr(reloading, "reload", lambda *_: True)
    configuration = read(home, lambda environ: environ)
    running = Running(home, configuration)
    reloader = Reloader(home, configuration, lambda environ: environ, running, lambda _: None)
    (tmp_path / ".env").write_text("LINODE_TOKEN=x\n")
    assert reloader.look()


def test_a_service_that_does_not_take_it_over_is_named(home, stack, monkeypatch):
    said, _, _, reloader = stack
    monkeypatch.setattr(reloading, "reload", lambda service, _: service.name != "prometheus")
    home.sites_file.write_text(SITES + "alerting: {scrape_interval: 20s}\n")
    reloader.look()
    assert said == ["Not taken over by prometheus: see data/logs. Restart ./sitemedic up."]


def test_faults_of_sites_yml_and_of_env_are_told_together(home):
    home.sites_file.write_text(SITES.replace("url:", "ulr:"))
    (home.root / ".env").write_text("PROMETHEUS_PORT=x\n")
    with pytest.raises(ConfigError) as caught:
        read(home, lambda environ: environ)
    assert {fault.file for fault in caught.value.faults} >= {".env"}
    assert len(caught.value.faults) >= 2


@pytest.mark.needs("amtool", "promtool")
def test_what_the_tools_refuse_is_not_written(home):
    configuration = read(home, lambda environ: environ)
    write(home, configuration)
    before = (home.rendered / "alertmanager/alertmanager.yml").read_bytes()
    smtp = replace(configuration.settings.smtp, tls="none", sender="")
    broken = replace(configuration, settings=replace(configuration.settings, smtp=smtp))
    with pytest.raises(StackError, match=r"alertmanager\.yml: amtool refuses it"):
        write(home, broken)
    assert (home.rendered / "alertmanager/alertmanager.yml").read_bytes() == before


def test_the_environment_of_this_process_stays_as_it_is(home):
    before = dict(os.environ)
    read(home, lambda environ: environ)
    assert dict(os.environ) == before


@pytest.mark.needs("alertmanager")
def test_a_real_alertmanager_takes_a_configuration_over_and_refuses_a_broken_one(home, monkeypatch):
    configuration = read(home, lambda environ: {**environ, "ALERTMANAGER_PORT": str(free_port())})
    write(home, configuration)
    found = services(home, configuration.settings, configuration.environ)
    alertmanager = next(one for one in found if one.name == "alertmanager")
    said = []
    supervisor = Supervisor(said.append, threading.Event())
    try:
        supervisor.start(alertmanager)
        pid = supervisor.pids()["alertmanager"]
        assert reloading.reload(alertmanager, pid)
        (home.rendered / "alertmanager/alertmanager.yml").write_text("route: {receiver: nobody}\n")
        monkeypatch.setattr(reloading, "_RELOAD_SECONDS", 1.0)
        assert not reloading.reload(alertmanager, pid)
    finally:
        supervisor.stop()
    assert said == []
