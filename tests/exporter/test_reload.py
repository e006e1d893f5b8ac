import asyncio
import os
import signal
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from core.faults import ConfigError
from core.sites import Part
from exporter import configuration, reload
from exporter.configuration import Configuration
from exporter.health import Health
from exporter.probe import Probers
from exporter.reload import Reloader
from exporter.schema import PART
from exporter.service import Exporter as ExporterItself
from tests.exporter.loopback import run
from tests.exporter.running import Exporter, Site, exporter, site, write
from tests.waiting import until

SUCCESSFUL = "sitemedic_config_last_reload_successful"
REFUSED = "configuration refused; the old one keeps running"
BAD = {"sites": [{"name": "shop", "url": "ftp://a"}, {"name": "other", "url": "http://b/", "timeout": "1m"}]}


def sites(told: Site, *names: str, **keys: Any) -> dict[str, Any]:
    return {"sites": [{"name": name, "url": told.url, "interval": "200ms", **keys} for name in names]}


def ask_http(running: Exporter) -> requests.Response:
    return requests.post(f"{running.url}/-/reload", timeout=20)


def ask(running: Exporter, way: str) -> None:
    """Have it reload: by HTTP, by signal, or by nothing but the changed file."""
    if way == "http":
        requests.post(f"{running.url}/-/reload", timeout=10)
    elif way == "signal":
        running.process.send_signal(signal.SIGHUP)


@pytest.mark.parametrize("way", ["http", "signal", "by itself"])
def test_a_good_file_is_taken_up_and_a_bad_one_is_not(tmp_path: Path, way: str) -> None:
    with site() as told, exporter(tmp_path, sites(told, "shop")) as running:
        until(lambda: running.site("shop")["success"], 5, "a success")
        probes = running.metric("sitemedic_probes_total", site="shop")
        running.write(BAD)
        ask(running, way)
        until(lambda: running.metric(SUCCESSFUL) == 0, 10, "the refusal")
        assert running.names() == ["shop"]
        until(lambda: running.metric("sitemedic_probes_total", site="shop") > probes, 5, "more probes")
        running.write(sites(told, "shop", "new"))
        ask(running, way)
        until(lambda: running.metric(SUCCESSFUL) == 1, 10, "the good one")
        assert running.names() == ["shop", "new"]
        assert running.metric("sitemedic_probes_total", site="shop") > probes
        until(lambda: running.site("new")["success"], 5, "the new site's first probe")


def test_a_password_file_that_comes_later_is_taken_up_by_itself(tmp_path: Path) -> None:
    with site() as told, exporter(tmp_path, sites(told, "shop")) as running:
        module = {"prober": "http", "http": {"bearer_token_file": "keys/token"}}
        running.write({"modules": {"m": module}, **sites(told, "shop", "new", module="m")})
        until(lambda: running.metric(SUCCESSFUL) == 0, 10, "the refusal")
        assert "keys/token" in running.said()
        (tmp_path / "keys").mkdir()
        (tmp_path / "keys/token").write_text("geheim")
        until(lambda: running.names() == ["shop", "new"], 10, "the new configuration")


class Held:
    """Reads a configuration as the exporter does, once it is let go."""

    def __init__(self) -> None:
        self.begun = 0
        self.go = threading.Event()

    def __call__(self, path: Path, parts: Sequence[Part]) -> Configuration:
        self.begun += 1
        assert self.go.wait(30)
        return configuration.read(path, parts)


async def storm(reloader: Reloader, held: Held) -> list[BaseException | None]:
    """Ask forty times while the first reading lasts; return what each was answered."""
    held.begun = 0
    held.go.clear()
    asked = [asyncio.create_task(reloader.reload()) for _ in range(40)]
    await asyncio.sleep(0)  # each of them has had its turn before this one has its next
    held.go.set()
    return await asyncio.gather(*asked, return_exceptions=True)


def test_a_storm_of_reloads_shares_its_readings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held, file = Held(), tmp_path / "sites.yml"
    monkeypatch.setattr(reload, "read", held)

    async def scenario() -> None:
        write(file, sites(Site(1), *(f"s{n}" for n in range(200))))
        running = ExporterItself(configuration.read(file, [PART]), Probers.start(), Health())
        try:
            reloader = Reloader(running, file, [PART])
            write(file, sites(Site(1), "shop"))
            assert await storm(reloader, held) == [None] * 40
            assert held.begun == 2  # who asked during the first wants what the files say since then
            assert list(running.states) == ["shop"]
            write(file, BAD)
            refused = await storm(reloader, held)
            assert held.begun == 2
            assert {type(one) for one in refused} == {ConfigError}
            assert len({str(one) for one in refused}) == 1
        finally:
            await running.stop()

    run(scenario())


def breaks(path: Path, parts: Sequence[Part]) -> Configuration:
    raise RuntimeError("nobody thought of this")


def test_a_fault_that_nobody_thought_of_is_a_refusal_and_ends_no_following_of_the_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "sites.yml"

    async def scenario() -> None:
        write(file, sites(Site(1), "shop"))
        running = ExporterItself(configuration.read(file, [PART]), Probers.start(), Health())
        reloader = Reloader(running, file, [PART], poll_every=0.05)
        following = asyncio.create_task(reloader.follow_files())
        try:
            with monkeypatch.context() as broken:
                broken.setattr(reload, "read", breaks)
                asked = await asyncio.gather(*(reloader.reload() for _ in range(3)), return_exceptions=True)
                for refused in asked:
                    said = "sites.yml: could not be taken for a fault of Sitemedic itself (RuntimeError)"
                    assert str(refused).startswith(said)
                told = caplog.text.count(REFUSED)
                write(file, sites(Site(1), "unseen"))
                await asyncio.to_thread(until, lambda: caplog.text.count(REFUSED) > told, 30, "another try")
                assert [one.name for one in running.configuration.sites] == ["shop"]
            write(file, sites(Site(1), "new"))
            await asyncio.to_thread(until, lambda: list(running.states) == ["new"], 30, "the new file")
        finally:
            following.cancel()
            await running.stop()

    run(scenario())
    assert "nobody thought of this" in caplog.text


def test_everyone_in_a_storm_of_reloads_is_answered_alike(tmp_path: Path) -> None:
    with site() as told, exporter(tmp_path, sites(told, *(f"s{n}" for n in range(200)))) as running:
        running.write(sites(told, "shop"))
        with ThreadPoolExecutor(40) as pool:
            answers = list(pool.map(lambda _: ask_http(running), range(40)))
        assert {answer.status_code for answer in answers} == {200}
        assert running.names() == ["shop"]
        running.write(BAD)
        with ThreadPoolExecutor(40) as pool:
            answers = list(pool.map(lambda _: ask_http(running), range(40)))
        assert {answer.status_code for answer in answers} == {500}
        assert len({answer.text for answer in answers}) == 1


def test_a_refused_reload_answers_500_with_every_fault(tmp_path: Path) -> None:
    with site() as told, exporter(tmp_path, sites(told, "shop")) as running:
        running.write(BAD)
        answer = requests.post(f"{running.url}/-/reload", timeout=10)
        assert answer.status_code == 500
        first, second = answer.text.splitlines()
        assert first.startswith("sites.yml: sites[0].url: must begin with one of http://, https://, tcp://")
        assert second == "sites.yml: sites[1].timeout: must be below interval (got 1m, interval 15s)"
        assert requests.get(f"{running.url}/-/reload", timeout=5).status_code == 405


def test_a_bad_file_is_told_once_per_change(tmp_path: Path) -> None:
    with site() as told, exporter(tmp_path, sites(told, "shop")) as running:
        running.write("sites: [")
        until(lambda: running.metric(SUCCESSFUL) == 0, 10, "the first refusal")
        os.utime(running.config)
        running.write("sites: [[")
        until(lambda: running.said().count(REFUSED) == 2, 10, "the second refusal")
        running.write(sites(told, "shop"))
        until(lambda: running.metric(SUCCESSFUL) == 1, 10, "the good one")
        assert running.said().count(REFUSED) == 2


def test_a_file_that_vanishes_changes_nothing(tmp_path: Path) -> None:
    with site() as told, exporter(tmp_path, sites(told, "shop")) as running:
        running.config.unlink()
        until(lambda: running.metric(SUCCESSFUL) == 0, 10, "the refusal")
        assert running.names() == ["shop"]
        running.write(sites(told, "back"))
        until(lambda: running.names() == ["back"], 10, "the file that came back")


def test_a_removed_site_leaves_the_metrics(tmp_path: Path) -> None:
    with site() as told, exporter(tmp_path, sites(told, "shop", "leaves")) as running:
        until(lambda: running.site("leaves")["success"], 5, "a success")
        running.write(sites(told, "shop"))
        running.post("/-/reload")
        assert 'site="leaves"' not in running.get("/metrics").text
        assert running.names() == ["shop"]
        assert requests.get(f"{running.url}/probe", {"site": "leaves"}, timeout=5).status_code == 404


def test_a_streak_outlives_a_reload_that_changes_the_site(tmp_path: Path) -> None:
    with site() as told, exporter(tmp_path, sites(told, "shop")) as running:
        told.status = 500
        until(lambda: running.site("shop")["success"] is False, 5, "the failure")
        since = running.site("shop")["failing_since"]
        running.write(sites(told, "shop", group="web", alert={"after": "1m"}))
        running.post("/-/reload")
        assert running.site("shop")["group"] == "web"
        assert running.site("shop")["failing_since"] == since
        assert running.metric("sitemedic_site_alert_after_seconds", site="shop") == 60


def test_a_site_whose_url_changed_is_probed_soon(tmp_path: Path) -> None:
    with site() as told, site() as other, exporter(tmp_path, sites(told, "shop")) as running:
        until(lambda: running.site("shop")["success"], 5, "a success")
        running.write(sites(other, "shop"))
        running.post("/-/reload")
        until(lambda: other.asked, 5, "a probe of the new address")


def test_a_change_in_a_modules_file_or_a_target_list_is_noticed(tmp_path: Path) -> None:
    with site() as told:
        write(tmp_path / "blackbox.yml", "modules: {m: {prober: http}}")
        (tmp_path / "targets").mkdir()
        targets = tmp_path / "targets" / "a.yml"
        write(targets, [{"targets": [told.url], "labels": {"module": "m", "interval": "200ms"}}])  # type: ignore[arg-type]
        main = {"modules_file": "blackbox.yml", "site_files": ["targets/*.yml"]}
        with exporter(tmp_path, main) as running:
            until(lambda: running.site(told.url)["success"], 5, "a success")
            write(
                tmp_path / "blackbox.yml", "modules: {m: {prober: http, http: {valid_status_codes: [204]}}}"
            )
            until(lambda: running.site(told.url)["success"] is False, 10, "the changed module")
            write(tmp_path / "targets" / "b.yml", [{"targets": ["tcp://127.0.0.1:1"]}])  # type: ignore[arg-type]
            until(lambda: len(running.names()) == 2, 10, "the new target list")


def test_mending_a_file_that_was_never_good_is_noticed(tmp_path: Path) -> None:
    with site() as told, exporter(tmp_path, sites(told, "shop")) as running:
        write(tmp_path / "more.yml", "modules: {m: {prober: htp}}")
        running.write(sites(told, "shop", module="m") | {"modules_file": "more.yml"})
        until(lambda: running.metric(SUCCESSFUL) == 0, 10, "the refusal")
        write(tmp_path / "more.yml", "modules: {m: {prober: http}}")
        until(lambda: running.metric(SUCCESSFUL) == 1, 10, "the mended modules file")
