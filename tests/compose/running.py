"""docker-compose.yml with the demo, brought up by Compose on a real engine, out of a copy of this project."""

import ctypes
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import requests

from tests.compose.stand_ins import base_image, import_program, import_python
from tests.docker_engine import IMAGE, DockerEngine, engine_folder, started_engine

ROOT = Path(__file__).parents[2]
BINARY = ROOT / ".venv/bin/docker-compose"
OWNER = 1000  # SITEMEDIC_UID's default
WEBHOOK_TOKEN = "webhook-hunter2"
PORTS = {"exporter": 9115, "prometheus": 9090, "alertmanager": 9093, "remediator": 9096, "mailbox": 8025}
WITHOUT_STAND_IN = {"grafana"}
_NOT_COPIED = shutil.ignore_patterns(
    ".git", ".venv*", ".*_cache", "__pycache__", "data", ".hypothesis", "*.pyc"
)
_NETWORK = 0x40000000  # CLONE_NEWNET
_TEMPLATES = Path("/usr/share/prometheus/alertmanager")  # Debian's Alertmanager reads its own from here
T = TypeVar("T")


@dataclass(frozen=True)
class Event:
    """What the engine says that happened to a service's container; `at` in unix seconds."""

    at: float
    service: str
    what: str


@dataclass
class ComposeStack:
    """A project of Compose on its engine."""

    engine: DockerEngine
    project: Path
    environment: Path  # the file for --env-file
    sizes: dict[str, int]  # of our own images, in bytes
    began: float = 0.0  # when the last `up` did, in unix seconds
    took: float = 0.0  # seconds until all was healthy
    authority: Path | None = None  # whose certificate the console shows, once it speaks TLS

    def __post_init__(self) -> None:
        self._inside = ThreadPoolExecutor(1, initializer=_enter_network, initargs=(self.engine.process.pid,))

    @property
    def config(self) -> Path:
        """Return the folder that is mounted on /config."""
        return self.environment.parent

    def compose(self, *arguments: str, seconds: float = 150) -> str:
        """Run `docker-compose ARGUMENTS…` on this project, and insist on its success."""
        done = subprocess.run(
            (str(BINARY), "--env-file", str(self.environment), *arguments),
            cwd=self.project,
            env={**self.engine.environment, "PATH": os.environ["PATH"], "HOME": str(self.project)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds,
        )
        assert done.returncode == 0, f"{done.stderr[-3000:]}\n{self.logs()}"
        return done.stdout

    def up(self, *options: str, services: Sequence[str] = ()) -> float:
        """Bring up all that has an image here, or some; return the seconds until it was healthy."""
        self.began = time.time()
        waiting = ("--detach", "--no-build", "--wait", "--wait-timeout", "240")  # on two busy cores too
        self.compose("up", *waiting, *options, *(services or self.services()), seconds=300)
        self.took = time.time() - self.began
        return self.took

    def services(self) -> list[str]:
        """Return the services that stay up."""
        known = json.loads(self.compose("config", "--format", "json"))["services"]
        return sorted(name for name in known if name not in WITHOUT_STAND_IN | {"render"})

    def container(self, service: str) -> str:
        """Return the id of a service's container."""
        return self.engine.docker("ps", "--all", "--quiet", *self._of(service))

    def inspect(self, service: str) -> dict[str, Any]:
        return self.engine.inspect(self.container(service))

    def execute(self, service: str, *command: str) -> "subprocess.CompletedProcess[str]":
        """Run a command in a service's container, as its user."""
        return subprocess.run(
            ("docker", "exec", self.container(service), *command),
            env={**os.environ, **self.engine.environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )

    def kill(self, service: str) -> None:
        """Kill a service's process from outside, as the kernel does when memory is short."""
        pid = self.inspect(service)["State"]["Pid"]
        subprocess.run(
            ("nsenter", "--target", str(self.engine.pid), "--pid", "sh", "-c", f"kill -9 {pid}"), check=True
        )

    def healthy(self, service: str) -> bool:
        state = self.inspect(service)["State"]
        return bool(state["Status"] == "running" and state["Health"]["Status"] == "healthy")

    def events(self) -> list[Event]:
        """Return what happened to the services since the last `up`: start, die, healthy."""
        now = self.engine.docker("info", "--format", "{{.SystemTime}}")
        told = self.engine.docker(
            *("events", "--since", f"{self.began:.6f}", "--until", now),
            *("--filter", "type=container", "--format", "{{json .}}"),
        )
        found = [json.loads(line) for line in told.splitlines()]
        return [
            Event(
                one["timeNano"] / 1e9,
                one["Actor"]["Attributes"].get("com.docker.compose.service", ""),
                one["Action"].removeprefix("health_status: "),
            )
            for one in found
        ]

    def get(self, service: str, path: str, **parameters: str) -> Any:
        """Ask a service at the port that it has on the engine's 127.0.0.1."""
        return self._call("GET", service, path, params=parameters)

    def post(self, service: str, path: str, body: object) -> Any:
        """Tell a service something; return its answer, None where that is empty."""
        return self._call("POST", service, path, json=body)

    def mails(self) -> list[dict[str, Any]]:
        """Return the mails of the demo's mailbox, oldest first."""
        found = self.get("mailbox", "/api/mails")["mails"]
        return sorted(found, key=lambda mail: mail["id"])

    def incidents(self) -> list[dict[str, Any]]:
        found = self.get("remediator", "/api/v1/incidents")["incidents"]
        assert isinstance(found, list)
        return found

    def query(self, expression: str, at: float | None = None) -> list[dict[str, Any]]:
        """Return the vector that Prometheus gives for an expression."""
        time_ = {} if at is None else {"time": f"{at:.3f}"}
        found = self.get("prometheus", "/api/v1/query", query=expression, **time_)["data"]["result"]
        assert isinstance(found, list)
        return found

    def made(self, secret: str) -> str:
        """Return a token or password that `render` made."""
        done = self.execute("remediator", "cat", f"/volumes/tokens/secrets/{secret}")
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def within(self, call: Callable[[], T]) -> T:
        """Call something in the engine's network, where its ports are."""
        return self._inside.submit(call).result(30)

    def logs(self) -> str:
        """Return each container's state and last words."""
        told = []
        for line in self.engine.docker(
            "ps", "--all", "--format", "{{.ID}} {{.Names}}: {{.Status}}"
        ).splitlines():
            identity, name = line.split(" ", 1)
            done = subprocess.run(
                ("docker", "logs", "--tail", "12", identity),
                env={**os.environ, **self.engine.environment},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
                timeout=30,
            )
            told.append(f"--- {name}\n{done.stdout}")
        return "\n".join(told)

    def close(self) -> None:
        """Leave the engine's network."""
        self._inside.shutdown()

    def _of(self, service: str) -> tuple[str, str]:
        return "--filter", f"label=com.docker.compose.service={service}"

    def _call(self, method: str, service: str, path: str, **more: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.made('api_token')}"} if service == "remediator" else {}

        def call() -> Any:
            secured = self.authority if service == "remediator" else None
            url = f"{'https' if secured else 'http'}://localhost:{PORTS[service]}{path}"
            verify = str(secured) if secured else True
            answer = requests.request(method, url, headers=headers, verify=verify, timeout=10, **more)
            answer.raise_for_status()
            return answer.json() if answer.content else None

        return self.within(call)


@contextmanager
def compose_stack() -> Iterator[ComposeStack]:
    """Build the images and bring the stack up on an engine of its own. Leaves nothing."""
    with engine_folder() as folder:
        project = folder / "project"
        shutil.copytree(ROOT, project, ignore=_NOT_COPIED)
        with started_engine(folder, own_network=False) as engine:
            sizes = build_images(engine, project, folder)
        with started_engine(folder, own_network=True) as engine:
            stack = ComposeStack(engine, project, _own_environment(project), sizes)
            try:
                stack.up()
                yield stack
            finally:
                stack.close()
                engine.clear()


def build_images(engine: DockerEngine, project: Path, folder: Path) -> dict[str, int]:
    """Make every image that the stack needs; return the sizes of those that are our own."""
    services = _services(project)
    built = {one["image"]: one["build"]["target"] for one in services.values() if "build" in one}
    import_python(engine, base_image(project / "Dockerfile"), folder)
    for image, target in sorted(built.items(), key=lambda one: one[1] == "demo"):
        _build(engine, project, image, target)
    import_program(engine, services["prometheus"]["image"], "prometheus")
    import_program(engine, services["alertmanager"]["image"], "alertmanager", _TEMPLATES)
    engine.import_image()
    engine.docker("tag", IMAGE, services["grafana"]["image"])  # a shell, to look out of its mounts
    return {image: int(engine.docker("image", "inspect", "--format", "{{.Size}}", image)) for image in built}


def _build(engine: DockerEngine, project: Path, image: str, target: str) -> None:
    done = subprocess.run(
        ("docker", "build", "--network", "host", "--target", target, "--tag", image, str(project)),
        env={**os.environ, **engine.environment, "DOCKER_BUILDKIT": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=400,
    )
    assert done.returncode == 0, done.stdout[-4000:]


def _services(project: Path) -> dict[str, Any]:
    told = subprocess.run(
        (str(BINARY), "--profile", "demo", "config", "--format", "json"),
        cwd=project,
        env={"PATH": os.environ["PATH"], "HOME": str(project)},
        capture_output=True,
        text=True,
        check=True,
    )
    services = json.loads(told.stdout)["services"]
    assert isinstance(services, dict)
    return services


def _own_environment(project: Path) -> Path:
    """Give the demo's configuration what a real one has: a token in .env, and a key; both mode 0600."""
    folder = project / "demo/compose"
    (folder / "keys").mkdir()
    (folder / "keys/medic").write_text("a private key\n")
    with (folder / ".env").open("a") as file:
        file.write(f"WEBHOOK_TOKEN={WEBHOOK_TOKEN}\n")
        file.write("COMPOSE_PROFILES=demo\nDEMO_DATABASE_URL=\n")  # no stand-in for PostgreSQL: SQLite
    for path in (folder / "keys/medic", folder / ".env"):
        path.chmod(0o600)
        os.chown(path, OWNER, OWNER)
    return folder / ".env"


def _enter_network(pid: int) -> None:
    """Move this thread, and no other, into the network of a process."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    try:
        if libc.setns(descriptor, _NETWORK) != 0:
            raise OSError(ctypes.get_errno(), "setns")
    finally:
        os.close(descriptor)
