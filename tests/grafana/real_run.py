"""A real run for the dashboards to show: every part is real, and within some 20 seconds much goes wrong.

The shop (a container on the demo's server) answers wrongly and is healed; another site answers with bad
statuses and then with the wrong content, one comes and goes, one refuses connections, one is slow,
one has a certificate that soon ends, and one is well. What mails there are go nowhere: nobody listens on
the SMTP port.
"""

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import Any

import requests
import trustme
import yaml

from stack.render import Rendered
from tests.alertmanager_server import alertmanager_server
from tests.demo.parts import RunningMachine, running_machine
from tests.exporter.certificates import context
from tests.exporter.loopback import always, answer, serving
from tests.exporter.running import Site, site
from tests.grafana.boards import ROOT
from tests.grafana.container_page import container_page
from tests.ports import free_port
from tests.prometheus_server import PrometheusServer, prometheus_server
from tests.rendering import MAIL, rendered_from
from tests.service import Service, service
from tests.waiting import until

_PORTS = ("EXPORTER", "REMEDIATOR", "ALERTMANAGER", "PROMETHEUS")
CERTIFICATE_DAYS = 5


@dataclass
class Run:
    """The parts that run."""

    folder: Path
    ports: dict[str, int]
    prometheus: PrometheusServer | None = None
    sites: dict[str, str] = field(default_factory=dict)
    """Each site's address by its name."""

    def asked(self, expr: str) -> list[dict[str, Any]]:
        """Ask Prometheus now."""
        assert self.prometheus is not None
        return self.prometheus.query(expr)


@contextmanager
def in_a_loop(started: Callable[[], AbstractContextManager[Any]]) -> Iterator[int]:
    """Run one asynchronous server in a thread of its own until the block ends; its port."""
    loop, ended, ports = asyncio.new_event_loop(), asyncio.Event(), list[int]()

    async def serve() -> None:
        async with started() as port:  # type: ignore[attr-defined]
            ports.append(port)
            await ended.wait()

    thread = Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    try:
        until(lambda: ports, 5, "the server")
        yield ports[0]
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(5)
        loop.close()


def _document(machine: RunningMachine, addresses: dict[str, str], authority: Path) -> dict[str, Any]:
    state: Any = machine.state()
    ssh = {name: state["ssh"][name] for name in ("host", "port", "user", "key_file", "known_hosts_file")}
    quick = {"after": "1s"}
    return {
        "defaults": {"interval": "1s", "timeout": "900ms", "email": "ops@acme.example", "alert": quick},
        "canaries": [addresses["well"]],
        "modules": {
            "trusting": {"prober": "http", "http": {"tls_config": {"ca_file": str(authority)}}},
        },
        "servers": {"machine": {"ssh": ssh}},
        "sites": _sites(addresses, {"server": "machine", "container": state["container"]["name"]}),
        "alerting": {
            "scrape_interval": "1s",
            "critical": {"group_wait": "1s", "group_interval": "2s"},
            "warning": {"group_wait": "1s", "group_interval": "2s"},
            "shared_wait": "1s",
        },
        "remediation": {
            "max_unhealthy": "90%", "cooldown": "1s", "prove_within": "20s", "stop_timeout": "1s",
        },
    }  # fmt: skip


def _sites(addresses: dict[str, str], recover: dict[str, str]) -> list[dict[str, Any]]:
    return [
        {"name": "shop", "url": addresses["shop"], "expect": {"status": 200}, "recover": recover},
        {"name": "broken", "url": addresses["broken"], "group": "acme", "expect": {"body": "Welcome"},
         "recover": {**recover, "mode": "observe"}},
        {"name": "flaky", "url": addresses["flaky"], "alert": {"after": "1h", "objective": "99.999%"}},
        {"name": "gone", "url": addresses["gone"], "group": "acme"},
        {"name": "slow", "url": addresses["slow"], "expect": {"within": "50ms"}},
        {"name": "secure", "url": addresses["secure"], "module": "trusting"},
        {"name": "well", "url": addresses["well"], "apps": [{"name": "api", "url": addresses["api"]}]},
    ]  # fmt: skip


def _hurried(rules: Path) -> None:
    """Have every group of rules evaluated once a second, and alerts fire at once, also of what is young."""
    for path in rules.glob("*.yml"):
        document = yaml.safe_load(path.read_text())
        for group in document["groups"]:
            group.pop("interval", None)
            for rule in group["rules"]:
                rule.pop("for", None)
                rule["expr"] = rule["expr"].replace("offset 4m", "offset 2s")  # young containers count too
        path.unlink()  # it may be a link to the real one
        path.write_text(yaml.safe_dump(document))


def _with_containers(prometheus: Path, page: str) -> None:
    """Have Prometheus read the page about containers too."""
    document = yaml.safe_load(prometheus.read_text())
    document["scrape_configs"].append(
        {"job_name": "containers", "honor_labels": True, "static_configs": [{"targets": [page]}]}
    )
    prometheus.write_text(yaml.safe_dump(document))


def _python(folder: Path, port: int, log: str, *words: str) -> AbstractContextManager[Service]:
    tokens = [
        f"{name}_FILE={folder / 'data' / 'secrets' / name.lower()}" for name in ("WEBHOOK_TOKEN", "API_TOKEN")
    ]
    arguments = [*tokens, sys.executable, "-m", "stack", *words, f"--config.file={folder / 'sites.yml'}"]
    address = f"127.0.0.1:{port}"
    arguments.append(f"--web.listen-address={address}")
    return service("env", arguments, f"http://{address}", folder / log, "/-/ready", ROOT)


def _start(run: Run, rendered: Rendered, stack: ExitStack) -> None:
    """Start the four services in the launcher's order."""
    folder, ports = run.folder, run.ports
    _hurried(rendered.prometheus.parent / "rules")
    _with_containers(rendered.prometheus, stack.enter_context(container_page()))
    stack.enter_context(_python(folder, ports["EXPORTER"], "exporter.log", "exporter"))
    urls = [f"--{name.lower()}.url=http://127.0.0.1:{ports[name]}" for name in ("EXPORTER", "ALERTMANAGER")]
    storage = f"--storage.url=sqlite:///{folder / 'remediator.db'}"
    timing = [f"--timing={name}=1" for name in ("reconcile", "recheck", "idle_recheck", "probe_spacing")]
    words = ("remediator", *urls, storage, *timing)
    stack.enter_context(_python(folder, ports["REMEDIATOR"], "remediator.log", *words))
    stack.enter_context(
        alertmanager_server(rendered.alertmanager, folder / "alertmanager", ports["ALERTMANAGER"])
    )
    run.prometheus = stack.enter_context(
        prometheus_server(rendered.prometheus, folder / "prometheus", ports["PROMETHEUS"])
    )


@contextmanager
def real_run(folder: Path) -> Iterator[Run]:
    """Run everything until the block ends; it begins once the shop has been broken and healed."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    tls = context(authority, "127.0.0.1", days=CERTIFICATE_DAYS)
    with ExitStack() as stack:
        machine = stack.enter_context(running_machine(folder / "machine"))
        broken, flaky, slow, well = (stack.enter_context(site()) for _ in range(4))
        secure = stack.enter_context(in_a_loop(lambda: serving(always(answer()), tls)))
        slow.delay = 0.15
        run = Run(folder, {name: free_port() for name in _PORTS})
        run.sites = {
            "shop": f"http://127.0.0.1:{machine.site_port}/",
            "broken": broken.url,
            "flaky": flaky.url,
            "gone": f"http://127.0.0.1:{free_port()}/",
            "slow": slow.url,
            "secure": f"https://127.0.0.1:{secure}/",
            "well": well.url,
            "api": f"{well.url}api",
        }
        environ = {f"{name}_PORT": str(port) for name, port in run.ports.items()}
        text = yaml.safe_dump(_document(machine, run.sites, folder / "ca.pem"), sort_keys=False)
        done = rendered_from(folder, text, MAIL | {"SMTP_PORT": str(free_port())} | environ)
        _start(run, done.rendered, stack)
        _go_wrong(run, machine, broken, flaky)
        yield run


def _go_wrong(run: Run, machine: RunningMachine, broken: Site, flaky: Site) -> None:
    """Break the shop once it was seen well, and wait until it is healed; break two others meanwhile.

    A stranger knocks at the remediator too, so that an alert about Sitemedic itself fires.
    """
    until(lambda: run.asked('probe_success{site="shop"} == 1'), 30, "the shop to be seen well")
    refused = 'sitemedic_notifications_total{outcome="unauthorized"}'
    until(lambda: run.asked(f"{refused} == 0"), 30, "the remediator to be seen")
    for _ in range(10):
        webhook = f"http://127.0.0.1:{run.ports['REMEDIATOR']}/webhook/alertmanager"
        assert requests.post(webhook, json={}, timeout=10).status_code == 401
    broken.status = 503
    assert machine.order("/break", {"kind": "bad-response"}).ok
    until(lambda: run.asked('sitemedic_probe_failures_total{site="broken", reason="status"} > 2'), 20, "503")
    broken.status, broken.body = 200, "Sold out"
    for _ in range(4):  # as often within an hour, a site flaps
        flaky.status = 503
        until(
            lambda: run.asked('sitemedic_failing_since_timestamp_seconds{site="flaky"} > 0'), 20, "a failure"
        )
        flaky.status = 200
        until(lambda: run.asked('sitemedic_failing_since_timestamp_seconds{site="flaky"} == 0'), 20, "an end")
    healed = 'sitemedic_incidents_total{outcome="healed"} > 0'
    until(lambda: run.asked(healed), 60, f"the shop to be healed (logs: {run.folder})")
