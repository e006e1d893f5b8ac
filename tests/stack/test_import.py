"""`import`: what another monitor was told, as a sites.yml that loads."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from core.sites import Document, load
from exporter.site_options import SiteOptions, TopOptions
from stack.configure.import_cli import import_command
from stack.errors import StackError
from stack.parts import PARTS

RELABEL = [
    {"source_labels": ["__address__"], "target_label": "__param_target"},
    {"source_labels": ["__param_target"], "target_label": "instance"},
    {"target_label": "__address__", "replacement": "127.0.0.1:9115"},
]


def imported(folder: Path, file: str, *words: str) -> Result:
    return CliRunner().invoke(import_command, [str(folder / file), f"--out={folder / 'sites.yml'}", *words])


def blackbox_job(name: str, module: str, targets: list[str], **keys: Any) -> dict[str, Any]:
    labels = keys.pop("labels", {})
    return {
        "job_name": name,
        "metrics_path": "/probe",
        "params": {"module": [module]},
        "static_configs": [{"targets": targets, "labels": labels}],
        "relabel_configs": RELABEL,
        **keys,
    }


def prometheus(folder: Path, *jobs: dict[str, Any], **top: Any) -> None:
    document = {"global": {"scrape_interval": "15s"}, **top, "scrape_configs": list(jobs)}
    (folder / "prometheus.yml").write_text(yaml.safe_dump(document))


def document(folder: Path) -> Document:
    return load(folder / "sites.yml", PARTS)


def options(folder: Path) -> dict[str, SiteOptions]:
    return {site.name: site.part(SiteOptions) for site in document(folder).sites}


def test_the_blackbox_jobs_of_prometheus_become_sites(tmp_path: Path) -> None:
    node = {"job_name": "node", "static_configs": [{"targets": ["a:9100"]}]}
    web = blackbox_job(
        "web", "http_2xx", ["https://a.example.com", "b.example.com/health"],
        labels={"team": "x", "severity": "page", "__meta": "y"},
    )  # fmt: skip
    ports = blackbox_job("ports", "tcp_connect", ["db:5432"], scrape_interval="1m", scrape_timeout="20s")
    prometheus(tmp_path, node, web, ports, rule_files=["a.yml"])
    done = imported(tmp_path, "prometheus.yml", "--email=ops@example.com")
    assert done.exit_code == 0, done.output
    found = options(tmp_path)
    assert {name: (one.url, one.interval, one.timeout, one.group) for name, one in found.items()} == {
        "a.example.com": ("https://a.example.com", 15, 10, "web"),
        "b.example.com-health": ("http://b.example.com/health", 15, 10, "web"),
        "db:5432": ("tcp://db:5432", 60, 20, "ports"),
    }
    assert found["a.example.com"].labels == {"team": "x"}
    assert "Not imported: jobs that do not probe (1)" in done.output
    assert "Not imported: the rules of rule_files" in done.output
    assert "ops@example.com" in (tmp_path / "sites.yml").read_text()


def test_modules_come_from_the_blackbox_yml_beside_or_named(tmp_path: Path) -> None:
    prometheus(tmp_path, blackbox_job("web", "post", ["https://a.example.com/"]))
    refused = imported(tmp_path, "prometheus.yml")
    assert isinstance(refused.exception, StackError)
    assert "the module 'post': give the blackbox.yml" in str(refused.exception)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "bb.yml").write_text("modules: {post: {prober: http, http: {method: POST}}}")
    assert (
        imported(tmp_path, "prometheus.yml", f"--modules-file={tmp_path / 'other' / 'bb.yml'}").exit_code == 0
    )
    assert document(tmp_path).top(TopOptions).modules_file == "other/bb.yml"
    assert options(tmp_path)["a.example.com"].module == "post"


def test_what_cannot_be_probed_yet_is_told_and_left_out(tmp_path: Path) -> None:
    (tmp_path / "blackbox.yml").write_text("modules: {ping: {prober: icmp}}")
    web = blackbox_job("web", "http_2xx", ["https://a.example.com/"], consul_sd_configs=[{}])
    prometheus(tmp_path, blackbox_job("ping", "ping", ["192.0.2.1"]), web)
    done = imported(tmp_path, "prometheus.yml")
    assert done.exit_code == 0, done.output
    assert "192.0.2.1 (job ping), module ping: icmp is not built yet" in done.output
    assert "consul_sd_configs of job web" in done.output
    assert list(options(tmp_path)) == ["a.example.com"]
    assert "# Not imported: 192.0.2.1" in (tmp_path / "sites.yml").read_text()


def test_the_target_files_of_an_only_job_are_followed_and_not_copied(tmp_path: Path) -> None:
    (tmp_path / "targets").mkdir()
    targets = tmp_path / "targets" / "a.json"
    targets.write_text(json.dumps([{"targets": ["https://a.example.com/"], "labels": {"site": "a"}}]))
    job = blackbox_job("web", "http_2xx", [], file_sd_configs=[{"files": ["targets/*.json"]}])
    prometheus(tmp_path, job)
    assert imported(tmp_path, "prometheus.yml").exit_code == 0
    assert options(tmp_path)["a"].interval == 15
    targets.write_text(json.dumps([{"targets": ["https://b.example.com/"]}]))
    assert list(options(tmp_path)) == ["https://b.example.com/"]
    prometheus(tmp_path, job, blackbox_job("more", "tcp_connect", ["db:1"]))
    assert imported(tmp_path, "prometheus.yml", "--force").exit_code == 0
    assert sorted(options(tmp_path)) == ["b.example.com", "db:1"]


def monitor(number: int, name: str, kind: str, **keys: Any) -> dict[str, Any]:
    """One as Uptime Kuma 1.23 writes it into its backup."""
    return {
        "id": number, "name": name, "type": kind, "url": "https://", "method": "GET", "hostname": None,
        "port": None, "parent": None, "maxretries": 0, "active": True, "timeout": 48,
        "interval": 60, "retryInterval": 60,
        "keyword": None, "invertKeyword": False, "ignoreTls": False, "upsideDown": False, "maxredirects": 10,
        "accepted_statuscodes": ["200-299"], "headers": None, "body": None, "basic_auth_user": None,
        "basic_auth_pass": None, **keys,
    }  # fmt: skip


MONITORS = [
    monitor(1, "Prod", "group"),
    monitor(2, "Home / page", "http", url="https://example.com/", parent=1, maxretries=3),
    monitor(
        3, "private", "keyword", url="https://example.com/x", keyword="Hello (world)", method="POST",
        body="{}", accepted_statuscodes=["200-202", "404"],
        headers='{"X-A": "1", "Authorization": "hunter1"}',
        basic_auth_user="u", basic_auth_pass="hunter2", ignoreTls=True,
    ),
    monitor(4, "db", "port", hostname="::1", port=5432),
    monitor(5, "a\nb: 1", "ping", hostname="192.0.2.1"),
    monitor(6, "off", "http", url="https://off.example.com/", active=False),
    monitor(7, "turned", "http", url="https://x.example.com/", upsideDown=True),
]  # fmt: skip
MAIL = {"type": "smtp", "smtpTo": "a@example.com, b@example.com", "smtpPassword": "hunter3"}
NOTIFICATIONS = [
    {"id": 1, "config": json.dumps(MAIL)},
    {"id": 2, "config": json.dumps({"type": "gotify", "gotifyapplicationToken": "hunter4"})},
]  # fmt: skip


def backup(folder: Path) -> str:
    content = {"version": "1.23.16", "notificationList": NOTIFICATIONS, "monitorList": MONITORS}
    (folder / "kuma.json").write_text(json.dumps(content))
    return "kuma.json"


def database(folder: Path) -> str:
    """The same in the columns of kuma.db."""
    renamed = {"retryInterval": "retry_interval", "invertKeyword": "invert_keyword",
               "ignoreTls": "ignore_tls",
               "upsideDown": "upside_down",
               "accepted_statuscodes": "accepted_statuscodes_json"}  # fmt: skip
    with sqlite3.connect(folder / "kuma.db") as kuma:
        columns = [renamed.get(key, key) for key in MONITORS[0]]
        kuma.execute(f"CREATE TABLE monitor ({', '.join(columns)})")
        kuma.execute("CREATE TABLE notification (id, active, config)")
        for one in MONITORS:
            row = [json.dumps(value) if isinstance(value, list) else value for value in one.values()]
            kuma.execute(f"INSERT INTO monitor VALUES ({', '.join('?' * len(row))})", row)
        for told in NOTIFICATIONS:
            kuma.execute("INSERT INTO notification VALUES (?, 1, ?)", (told["id"], told["config"]))
    kuma.close()
    return "kuma.db"


@pytest.mark.parametrize("kuma", [backup, database])
def test_the_monitors_of_uptime_kuma_become_sites(tmp_path: Path, kuma: Any) -> None:
    done = imported(tmp_path, kuma(tmp_path))
    assert done.exit_code == 0, done.output
    text = (tmp_path / "sites.yml").read_text()
    assert "hunter" not in done.output + text
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "private.password").touch()
    found = options(tmp_path)
    assert sorted(found) == ["Home - page", "db", "private"]
    home, private = found["Home - page"], found["private"]
    assert (home.url, home.group, home.interval, home.timeout, home.alert.after) == (
        "https://example.com/", "Prod", 60, 48, 180,
    )  # fmt: skip
    assert home.expect.status is None
    assert private.expect.status == (200, 201, 202, 404)
    assert private.expect.body is not None
    assert private.expect.body.found_in(b"say Hello (world)!")
    assert not private.expect.body.found_in(b"Hello world")
    assert found["db"].url == "tcp://[::1]:5432"
    module = document(tmp_path).top(TopOptions).modules[private.module or ""]
    assert (module.http.method, dict(module.http.headers)) == ("POST", {"X-A": "1"})  # type: ignore[attr-defined]
    assert yaml.safe_load(text)["defaults"]["email"] == ["a@example.com", "b@example.com"]
    for note in (
        "private: its password: put it into keys/private.password",
        "private: the header Authorization",
        "a b: 1: a monitor of type ping",
        "off: it is paused",
        "turned: it is upside down",
        "the notification by gotify",
    ):
        assert f"Not imported: {note}" in done.output


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("x.yml", "a: 1", "is neither a Prometheus configuration"),
        ("x.yml", "scrape_configs: [{job_name: node}]", "no job probes through blackbox_exporter"),
        ("x.yml", "scrape_configs: 5", "no job probes through blackbox_exporter"),
        ("x.json", '{"monitorList": 5}', "no backup of Uptime Kuma"),
        ("x.json", '{"monitorList": []}', "none of its monitors can be watched"),
        ("x.db", "SQLite format 3\0 but no more", "no database of Uptime Kuma"),
    ],
)
def test_a_file_that_is_something_else_is_refused_and_nothing_is_written(
    tmp_path: Path, name: str, content: str, told: str
) -> None:
    (tmp_path / name).write_text(content)
    refused = imported(tmp_path, name)
    assert isinstance(refused.exception, StackError), refused.exception
    assert told in str(refused.exception)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_sites_yml_that_is_there_stays_and_a_dash_prints(tmp_path: Path) -> None:
    (tmp_path / "sites.yml").write_text("mine")
    refused = imported(tmp_path, backup(tmp_path))
    assert isinstance(refused.exception, StackError)
    assert (tmp_path / "sites.yml").read_text() == "mine"
    printed = imported(tmp_path, "kuma.json", "--out=-")
    assert printed.exit_code == 0
    assert "name: Home - page" in printed.output
    assert (tmp_path / "sites.yml").read_text() == "mine"
