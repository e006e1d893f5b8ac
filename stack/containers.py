"""What docker-compose.yml's own containers start: the commands, with the mounted folder's .env.

    python -m stack.containers render
    python -m stack.containers remediator ARGUMENT...

`render` is given all of .env. The remediator is given what it needs of it, and what `render` made.
"""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from core.environment import load_environment
from core.faults import ConfigError
from core.files import write_whole
from core.secrets import from_environment
from core.sites import load
from stack.errors import StackError
from stack.parts import PARTS
from stack.render import render
from stack.settings import COMPOSE_RENDERED, kept_token, load_settings

CONFIG = Path("/config")
TOKENS = Path("/volumes/tokens")
GRAFANA = Path("/volumes/grafana-password")

DATABASE = "sqlite:////volumes/remediator/remediator.db"

_REMEDIATOR_TAKES = (
    *("LINODE_TOKEN", "LINODE_TOKEN_FILE", "PUBLIC_URL"),
    *("STORAGE_URL", "STORAGE_URL_FILE"),
)


def render_all(
    config: Path = CONFIG, tokens: Path = TOKENS, grafana: Path = GRAFANA, out: Path = COMPOSE_RENDERED
) -> None:
    """Write what Prometheus, Alertmanager and Grafana read. Raises ConfigError or StackError."""
    if not (config / "sites.yml").exists():
        raise StackError(
            "there is no sites.yml in the folder mounted on /config. Begin with sites.example.yml, or run "
            "the demo: docker compose --env-file demo/compose/.env up -d --build"
        )
    document = load(config / "sites.yml", PARTS)
    environ = load_environment(config)
    settings = load_settings(environ, tokens, "compose")
    password = from_environment("GRAFANA_ADMIN_PASSWORD", environ) or kept_token(
        tokens / "secrets" / "grafana_admin_password"
    )
    try:
        rendered = render(document, settings, out)
        write_whole(grafana / "admin_password", password.reveal(), 0o600)
    except OSError as error:
        raise StackError(f"cannot write {error.filename}: {error.strerror}") from error
    for note in rendered.notes:
        sys.stdout.write(f"note: {note}\n")
    sys.stdout.write("rendered\n")


def remediator_environment(
    environ: Mapping[str, str], config: Path = CONFIG, tokens: Path = TOKENS
) -> dict[str, str]:
    """Return the environment to run the remediator in. Raises ConfigError."""
    file = load_environment(config)
    settings = load_settings(file, tokens, "compose")
    taken = {name: file[name] for name in _REMEDIATOR_TAKES if file.get(name)}
    if taken.keys().isdisjoint(("STORAGE_URL", "STORAGE_URL_FILE")):
        taken["STORAGE_URL"] = DATABASE
    return {
        **environ,
        **taken,
        "WEBHOOK_TOKEN": settings.webhook_token.reveal(),
        "API_TOKEN": settings.api_token.reveal(),
        "CONSOLE_PASSWORD": settings.console_password.reveal(),
    }


def _remediator(arguments: Sequence[str]) -> None:
    web = load_settings(load_environment(CONFIG), TOKENS, "compose").console.web_config
    flags = [f"--web.config.file={web}"] if web else []
    command = [sys.executable, "-m", "stack", "remediator", *arguments, *flags]
    os.execve(command[0], command, remediator_environment(os.environ))


def main(arguments: Sequence[str]) -> int:
    """Run one container's command; 0 good, 1 failed, 2 usage."""
    commands: dict[str, Callable[[], None]] = {
        "render": render_all,
        "remediator": lambda: _remediator(arguments[1:]),
    }
    if not arguments or arguments[0] not in commands:
        sys.stderr.write(__doc__ or "")
        return 2
    try:
        commands[arguments[0]]()
    except (ConfigError, StackError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
