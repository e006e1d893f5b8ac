"""Sitemedic in blackbox_exporter's place: its flags, its addresses, its own metrics, an unmodified job."""

import os
import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
import yaml

from exporter.web.places import Places, places
from stack.programs import find_program
from tests.exporter.running import ROOT, Exporter, exporter, site, write
from tests.exporter.test_exporter_cli import exporter_ends
from tests.ports import free_port
from tests.prometheus_server import PrometheusServer, prometheus_server
from tests.service import Service, service
from tests.waiting import until

BLACKBOX_YML = """\
modules:
  http_2xx:
    prober: http
    timeout: 2s
    http:
      preferred_ip_protocol: ip4
      fail_if_body_not_matches_regexp: [Welcome]
  http_post_2xx:
    prober: http
    http:
      method: POST
      basic_auth: {username: me, password: geheim}
      headers: {X-Api-Key: heimlich, Accept: text/html}
      proxy_url: http://user:verborgen@127.0.0.1:3128
  tcp_connect:
    prober: tcp
"""
JOBS = """\
  - job_name: {name}
    metrics_path: /probe
    params: {{module: [http_2xx]}}
    static_configs:
      - targets: [{targets}]
    relabel_configs:
      - source_labels: [__address__]
        target_label: __param_target
      - source_labels: [__param_target]
        target_label: instance
      - target_label: __address__
        replacement: {exporter}
  - job_name: {name}_itself
    static_configs:
      - targets: [{exporter}]
"""


@contextmanager
def theirs(folder: Path, *flags: str) -> Iterator[Service]:
    port = free_port()
    config = folder / "blackbox.yml"
    arguments = [f"--config.file={config}", f"--web.listen-address=127.0.0.1:{port}", *flags]
    with service(
        "prometheus-blackbox-exporter", arguments, f"http://127.0.0.1:{port}", folder / "theirs.log", "/"
    ) as running:
        yield running


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exporter]:
    with exporter(tmp_path_factory.mktemp("shared"), BLACKBOX_YML, "--history.limit=5") as running:
        yield running


@pytest.mark.needs("prometheus", "prometheus-blackbox-exporter")
def test_an_unmodified_job_and_blackbox_yml_give_prometheus_the_same_series(tmp_path: Path) -> None:
    write(tmp_path / "blackbox.yml", BLACKBOX_YML)
    with site() as up, site() as down, exporter(tmp_path, BLACKBOX_YML) as ours, theirs(tmp_path) as other:
        down.status = 500
        targets = [up.url, f"127.0.0.1:{down.port}", "http://127.0.0.1:1/"]
        config = tmp_path / "prometheus.yml"
        config.write_text(
            "global: {scrape_interval: 1s, scrape_timeout: 1s}\nscrape_configs:\n"
            + "".join(
                JOBS.format(name=name, targets=", ".join(map(repr, targets)), exporter=asked.url[7:])
                for name, asked in (("theirs", other), ("ours", ours))
            )
        )
        with prometheus_server(config, tmp_path / "data") as prometheus:
            until(lambda: len(prometheus.query("probe_success")) == 6, 20, "three probes of each")
            until(
                lambda: len(prometheus.query("blackbox_module_unknown_total")) == 2, 20, "their own metrics"
            )
            found = {name: _seen(prometheus, name) for name in ("theirs", "ours")}
    assert found["ours"] == found["theirs"]
    assert len(found["ours"][0]) > 40
    assert found["ours"][1] == {(targets[0], "1", "200"), (targets[1], "0", "500"), (targets[2], "0", "0")}


def _seen(prometheus: PrometheusServer, job: str) -> tuple[set[str], set[tuple[str, str, str]], set[str]]:
    """Return a job's series, the outcome of each target, and the names of its exporter's own metrics."""
    series = set()
    for one in prometheus.query(f'{{job="{job}"}}'):
        labels = {name: value for name, value in one["metric"].items() if name != "job"}
        if not labels["__name__"].startswith("sitemedic_"):
            series.add(str(sorted(labels.items())))
    statuses = {
        one["metric"]["instance"]: one["value"][1]
        for one in prometheus.query(f'probe_http_status_code{{job="{job}"}}')
    }
    outcomes = {
        (one["metric"]["instance"], one["value"][1], statuses[one["metric"]["instance"]])
        for one in prometheus.query(f'probe_success{{job="{job}"}}')
    }
    own = prometheus.query(f'{{__name__=~"blackbox_.*",job="{job}_itself"}}')
    return series, outcomes, {one["metric"]["__name__"] for one in own}


@pytest.mark.needs("prometheus-blackbox-exporter")
def test_every_flag_of_blackbox_exporter_is_known() -> None:
    program = find_program("prometheus-blackbox-exporter")
    told = subprocess.run([str(program), "--help"], capture_output=True, text=True, check=False)
    theirs = set(re.findall(r"--[a-z][a-z.-]*[a-z]", told.stdout + told.stderr)) - {
        "--help-long",
        "--help-man",
    }
    assert len(theirs) > 10
    assert theirs <= set(re.findall(r"--[a-z][a-z.-]*[a-z]", exporter_ends("--help")[1]))


@pytest.mark.needs("prometheus-blackbox-exporter")
def test_the_same_paths_answer_with_the_same_status(shared: Exporter, tmp_path: Path) -> None:
    write(tmp_path / "blackbox.yml", BLACKBOX_YML)
    with theirs(tmp_path) as other:
        for method, path in (
            ("GET", "/"),
            ("GET", "/metrics"),
            ("GET", "/config"),
            ("GET", "/-/healthy"),
            ("GET", "/-/reload"),
            ("POST", "/-/reload"),
            ("GET", "/probe"),
            ("GET", "/probe?target=127.0.0.1:1&module=nothing"),
            ("GET", "/probe?target=127.0.0.1:1&module=tcp_connect"),
            ("GET", "/probe?target=127.0.0.1:1&module=tcp_connect&debug=true"),
            ("GET", "/logs?id=4711"),
        ):
            answers = [requests.request(method, f"{at}{path}", timeout=5) for at in (other.url, shared.url)]
            assert len({answer.status_code for answer in answers}) == 1, path
            kinds = [answer.headers.get("Content-Type", "text/plain").split(";")[0] for answer in answers]
            assert kinds[0] == kinds[1], path


def test_its_own_metrics_are_blackbox_exporters(tmp_path: Path) -> None:
    with exporter(tmp_path, BLACKBOX_YML) as running:
        assert running.metric("blackbox_exporter_build_info") == 1
        assert running.metric("blackbox_exporter_config_last_reload_successful") == 1
        read_at = running.metric("blackbox_exporter_config_last_reload_success_timestamp_seconds")
        assert read_at > 1_700_000_000
        assert running.metric("blackbox_module_unknown_total") == 0
        assert requests.get(f"{running.url}/probe?target=a&module=b", timeout=5).status_code == 400
        assert running.metric("blackbox_module_unknown_total") == 1
        running.write("modules: {a: {prober: x")
        refused = requests.post(f"{running.url}/-/reload", timeout=5)
        assert refused.status_code == 500
        assert running.metric("blackbox_exporter_config_last_reload_successful") == 0
        assert running.metric("blackbox_exporter_config_last_reload_success_timestamp_seconds") == read_at


def test_config_is_yaml_that_can_be_read_without_its_secrets(shared: Exporter) -> None:
    text = shared.get("/config").text
    for secret in ("geheim", "heimlich", "verborgen"):
        assert secret not in text
    modules = yaml.safe_load(text)["modules"]
    assert modules["http_2xx"]["http"]["fail_if_body_not_matches_regexp"] == ["Welcome"]
    assert modules["http_post_2xx"]["http"]["headers"]["Accept"] == "text/html"
    assert modules["http_post_2xx"]["http"]["basic_auth"]["username"] == "me"


def test_it_serves_below_a_prefix_on_every_address(tmp_path: Path) -> None:
    second = free_port()
    flags = ("--web.external-url=https://watch.example/bb/", f"--web.listen-address=127.0.0.1:{second}")
    write(tmp_path / "blackbox.yml", BLACKBOX_YML)
    port = free_port()
    command = [str(ROOT / ".venv/bin/python"), "-m", "exporter", f"--config.file={tmp_path / 'blackbox.yml'}"]
    process = subprocess.Popen([*command, *flags, f"--web.listen-address=127.0.0.1:{port}"], cwd=ROOT,
                               stderr=subprocess.DEVNULL)  # fmt: skip
    try:
        until(lambda: _status(port, "/bb/-/healthy") == 200, 20, "the exporter")
        assert _status(second, "/bb/metrics") == 200
        assert _status(port, "/metrics") == 404
        home = requests.get(f"http://127.0.0.1:{port}/", timeout=5, allow_redirects=False)
        assert (home.status_code, home.headers["Location"]) == (302, "https://watch.example/bb/")
        assert "</html>" in requests.get(f"http://127.0.0.1:{second}/bb/", timeout=5).text
    finally:
        process.terminate()
        assert process.wait(10) == 0


def _status(port: int, path: str) -> int:
    try:
        return requests.get(f"http://127.0.0.1:{port}{path}", timeout=5).status_code
    except requests.ConnectionError:
        return 0


@pytest.mark.parametrize(
    ("url", "prefix", "found"),
    [
        (None, None, Places("", "/")),
        ("https://watch.example", None, Places("", "https://watch.example/")),
        ("https://watch.example/a/b/", None, Places("/a/b", "https://watch.example/a/b/")),
        ("https://watch.example/a", "/", Places("", "https://watch.example/a/")),
        (None, "bb", Places("/bb", "/bb/")),
    ],
)
def test_url_and_prefix_follow_blackbox_exporters_rules(
    url: str | None, prefix: str | None, found: Places
) -> None:
    assert places(url, prefix) == found


@pytest.mark.parametrize("flag", ["--web.external-url=watch.example", "--web.route-prefix=/{a}"])
def test_a_url_or_prefix_that_cannot_be_is_a_usage_error(flag: str) -> None:
    assert exporter_ends(flag)[0] == 2


def test_config_check_ends_with_the_verdict(tmp_path: Path) -> None:
    write(tmp_path / "blackbox.yml", BLACKBOX_YML)
    status, said = exporter_ends(f"--config.file={tmp_path / 'blackbox.yml'}", "--config.check")
    assert (status, "can be used" in said) == (0, True)
    write(tmp_path / "blackbox.yml", {"modules": {"a": {"proer": "http"}}})
    status, said = exporter_ends(f"--config.file={tmp_path / 'blackbox.yml'}", "--config.check")
    assert status == 1
    assert "did you mean 'prober'" in said


def test_the_steps_of_probes_are_logged_as_loudly_as_asked(tmp_path: Path) -> None:
    with exporter(tmp_path, BLACKBOX_YML, "--log.prober=warn", "--log.level=warn") as running:
        running.get("/probe", target="http://me:geheim@127.0.0.1:1/?token=heimlich")
        until(lambda: "Probe failed" in running.said(), 5, "the steps")
        said = running.said()
        assert "level=warning" in said
        assert "exporter runs" not in said
        assert not re.search("geheim|heimlich", said)


@pytest.mark.full
def test_systemd_hands_its_socket_over(tmp_path: Path) -> None:
    write(tmp_path / "blackbox.yml", BLACKBOX_YML)
    with socket.create_server(("127.0.0.1", 0)) as made:
        port = made.getsockname()[1]
        started = (
            "import os,sys; os.dup2(int(sys.argv[1]), 3); os.environ.update(LISTEN_FDS='1', "
            "LISTEN_PID=str(os.getpid())); os.execv(sys.executable, [sys.executable, *sys.argv[2:]])"
        )
        command = [str(ROOT / ".venv/bin/python"), "-c", started, str(made.fileno()), "-m", "exporter",
                   f"--config.file={tmp_path / 'blackbox.yml'}", "--web.systemd-socket"]  # fmt: skip
        process = subprocess.Popen(
            command, cwd=ROOT, pass_fds=(made.fileno(),), stderr=subprocess.DEVNULL, env=os.environ
        )
    try:
        until(lambda: _status(port, "/-/ready") == 200, 20, "the exporter")
    finally:
        process.terminate()
        process.wait(10)
    status, said = exporter_ends(f"--config.file={tmp_path / 'blackbox.yml'}", "--web.systemd-socket")
    assert (status, "handed no socket over" in said) == (1, True)
