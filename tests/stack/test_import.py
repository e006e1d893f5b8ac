"""`import`: what another monitor was told, as a sites.yml that loads."""

import json
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from core.faults import ConfigError
from core.sites import Document, load
from exporter.site_options import SiteOptions, TopOptions
from stack.configure.import_cli import import_command
from stack.configure.imported import Imported
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
    (tmp_path / "blackbox.yml").write_text("modules: {ping: {prober: dns, dns: {dns_over_tls: true}}}")
    web = blackbox_job("web", "http_2xx", ["https://a.example.com/"], consul_sd_configs=[{}])
    prometheus(tmp_path, blackbox_job("ping", "ping", ["192.0.2.1"]), web)
    done = imported(tmp_path, "prometheus.yml")
    assert done.exit_code == 0, done.output
    assert "192.0.2.1 (job ping), module ping: needs transport_protocol: tcp" in done.output
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
        "basic_auth_pass": None, "auth_method": None, **keys,
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
    monitor(
        8, "secretive", "http", url="https://example.com/s", body='{"password": "hunter6"}',
        headers='{"X-Api-Key": "hunter7"}', auth_method="oauth2-cc", accepted_statuscodes=["200-399", "2x"],
    ),
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
    (tmp_path / "keys" / "imported_1.password").touch()
    found = options(tmp_path)
    assert sorted(found) == ["Home - page", "db", "private", "secretive"]
    assert found["secretive"].expect.status == ("2xx", "3xx")
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
        "private: its password: put it into keys/imported_1.password",
        "private: the header Authorization",
        "secretive: the body that it sends",
        "secretive: its login by oauth2-cc",
        "secretive: the header X-Api-Key",
        "secretive: the status code '2x'",
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
        ("x.yml", "scrape_configs: 5", "x.yml: scrape_configs: must be a list of jobs"),
        ("x.yml", "[1]", "is neither a Prometheus configuration"),
        ("x.yml", "", "is neither a Prometheus configuration"),
        ("x.json", "[" * 100_000, "x.json is nested too deeply"),
        ("x.json", '{"monitorList": 5}', "no backup of Uptime Kuma"),
        ("x.json", '{"monitorList": [], "notificationList": 5}', "no backup of Uptime Kuma"),
        ("x.json", '{"monitorList": []}', "none of its monitors can be watched"),
        ("x.db", "SQLite format 3\0 but no more", "no database of Uptime Kuma"),
    ],
)
def test_a_file_that_is_something_else_is_refused_and_nothing_is_written(
    tmp_path: Path, name: str, content: str, told: str
) -> None:
    (tmp_path / name).write_text(content)
    refused = imported(tmp_path, name)
    assert isinstance(refused.exception, StackError | ConfigError), refused.exception
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


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"file_sd_configs": [{"files": 5}]}, "scrape_configs[0].file_sd_configs[0].files: should be"),
        ({"file_sd_configs": [{"files": "a.json"}]}, "scrape_configs[0].file_sd_configs[0].files: should be"),
        ({"params": ["module"]}, "scrape_configs[0].params: should be"),
        ({"static_configs": [{"targets": 5}]}, "scrape_configs[0].static_configs[0].targets: should be"),
        (
            {"static_configs": [{"targets": ["a"], "labels": ["b"]}]},
            "scrape_configs[0].static_configs[0].labels: should be",
        ),
        ({"scrape_interval": [1]}, "scrape_configs[0].scrape_interval: must be a duration"),
        (
            {"relabel_configs": [*RELABEL, {"target_label": {"a": 1}}]},
            "scrape_configs[0].relabel_configs[3].target_label: should be",
        ),
    ],
)
def test_a_fault_in_a_prometheus_file_is_named_by_its_place(
    tmp_path: Path, keys: dict[str, Any], told: str
) -> None:
    prometheus(tmp_path, {**blackbox_job("web", "http_2xx", ["https://a.example.com/"]), **keys})
    refused = imported(tmp_path, "prometheus.yml")
    assert isinstance(refused.exception, ConfigError), refused.exception
    assert f"prometheus.yml: {told}" in str(refused.exception)


def test_one_target_that_cannot_be_watched_does_not_stop_the_others(tmp_path: Path) -> None:
    targets = ["https://a.example.com/", "ftp://x", "https://me:hunter2@b c/", "https://d.example.com/"]
    prometheus(tmp_path, blackbox_job("web", "http_2xx", targets))
    done = imported(tmp_path, "prometheus.yml")
    assert done.exit_code == 0, done.exception
    assert sorted(options(tmp_path)) == ["a.example.com", "d.example.com"]
    assert "Not imported: x: url: must begin with one of http://" in done.output
    assert "hunter" not in done.output + (tmp_path / "sites.yml").read_text()


def test_nothing_is_written_where_no_target_can_be_watched(tmp_path: Path) -> None:
    prometheus(tmp_path, blackbox_job("web", "http_2xx", ["ftp://x"]))
    refused = imported(tmp_path, "prometheus.yml")
    assert "x: url: must begin with one of http://" in str(refused.exception)
    assert [path.name for path in tmp_path.iterdir()] == ["prometheus.yml"]


def test_a_target_given_twice_is_one_site_and_two_of_the_same_name_are_two(tmp_path: Path) -> None:
    twice = ["https://a.example.com/", "https://a.example.com/", "https://a.example.com/?b"]
    prometheus(tmp_path, blackbox_job("web", "http_2xx", twice))
    assert imported(tmp_path, "prometheus.yml").exit_code == 0
    assert list(options(tmp_path)) == ["a.example.com", "a.example.com-2"]


def test_target_files_are_read_from_anywhere_and_told_where_there_are_none(tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text(json.dumps([{"targets": ["https://a.example.com/"], "labels": None}]))
    files = [str(tmp_path / "*.json"), "no/*.json"]
    job = blackbox_job("web", "http_2xx", [], file_sd_configs=[{"files": files}])
    prometheus(tmp_path, job, blackbox_job("more", "tcp_connect", ["db:1"]))
    done = imported(tmp_path, "prometheus.yml")
    assert done.exit_code == 0, done.exception
    assert sorted(options(tmp_path)) == ["a.example.com", "db:1"]
    assert "Not imported: no/*.json of job web: no file matches" in done.output


ODD = [
    5, None, [1], {}, {"name": ["a"], "type": "http"},
    monitor(1, "interval", "http", url="https://a.example.com/", interval="x"),
    monitor(2, "endless", "http", url="https://a.example.com/", interval=float("nan")),
    monitor(3, "list", "http", url="https://a.example.com/", parent=[1]),
    monitor(4, "codes", "http", url="https://a.example.com/", accepted_statuscodes="[1"),
    monitor(5, "port", "port", hostname="h", port="x"),
    monitor(6, "method", "http", url="https://a.example.com/", method="two words"),
    monitor(7, "header", "http", url="https://a.example.com/", headers='{"a\\nb": "c"}'),
    monitor(8, "nowhere", "http"),
    monitor(9, "esc\x1b[31m", "grpc"),
    monitor(10, "ä / 😀\u202e" + "x" * 89 + " y", "http", url="https://a.example.com/"),
]  # fmt: skip


def test_odd_monitors_are_left_out_one_by_one(tmp_path: Path) -> None:
    told = [None, 5, {"config": "no JSON"}, {"config": "[1]"}, {"config": json.dumps({"type": {"a": 1}})}]
    mail = {"type": "smtp", "smtpTo": "nonsense; Me <me@example.com>"}
    content = {"monitorList": ODD, "notificationList": [*told, {"config": json.dumps(mail)}]}
    (tmp_path / "kuma.json").write_text(json.dumps(content))
    done = imported(tmp_path, "kuma.json")
    assert done.exit_code == 0, done.exception
    assert len(options(tmp_path)) == 1
    assert next(iter(options(tmp_path))).startswith("ä - 😀-xxx")
    assert yaml.safe_load((tmp_path / "sites.yml").read_text())["defaults"]["email"] == ["me@example.com"]
    assert "modules" not in yaml.safe_load((tmp_path / "sites.yml").read_text())
    for name in (
        "interval: interval:", "endless: interval:", "list: parent:", "port: port:",
        "codes: accepted_statuscodes: is not the JSON", "method: http.method:",
        "header: http.headers:", "nowhere: url:", "esc[31m: a monitor of type grpc",
        "a notification that cannot be read", "the recipient nonsense: it is no mail address",
    ):  # fmt: skip
        assert f"Not imported: {name}" in done.output, name
    assert "1 site. Next" in done.output


def test_thousands_of_targets_are_imported_in_seconds(tmp_path: Path) -> None:
    many = Imported()
    began = time.process_time()
    for number in range(20_000):
        many.add(many.free(f"site {number % 2}"), {"url": "https://a.example.com/"})
    assert len({site["name"] for site in many.sites}) == 20_000
    assert time.process_time() - began < 5
