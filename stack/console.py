"""How the console is secured and who reaches it, as .env says."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from core.faults import ConfigError, Fault, quoted
from core.web.live import LiveWebConfig

CONSOLE_WEB = "CONSOLE_WEB_CONFIG_FILE"
"""Its web-config.yml: TLS, and passwords before its own."""

CONSOLE_LISTEN = "CONSOLE_LISTEN"
"""Where it listens without Docker: on this machine only, or everywhere."""

HERE, EVERYWHERE = "127.0.0.1", "0.0.0.0"
_FILE = ".env"


@dataclass(frozen=True)
class ConsoleSettings:
    """What is known of the console before it runs."""

    web_config: Path | None = None
    tls: bool = False
    users: bool = False
    """Whether it asks for a password before anything else."""
    listen: str = HERE


def console_settings(environ: Mapping[str, str]) -> ConsoleSettings:
    """Read them. Raises ConfigError with every fault."""
    file, listen = (environ.get(name, "").strip() for name in (CONSOLE_WEB, CONSOLE_LISTEN))
    web, faults = LiveWebConfig(Path(file) if file else None), []
    if web.rules.config.tls_server_config.client_auth_type.startswith("Require"):
        mend = "must not ask for client certificates: Prometheus and Alertmanager have none to show it"
        faults.append(Fault(_FILE, CONSOLE_WEB, mend))
    if listen not in ("", HERE, EVERYWHERE):
        faults.append(Fault(_FILE, CONSOLE_LISTEN, f"must be {HERE} or {EVERYWHERE} (got {quoted(listen)})"))
    elif listen == EVERYWHERE and web.tls is None:
        mend = f"would send the password in the open: set {CONSOLE_WEB} to a file with tls_server_config"
        faults.append(Fault(_FILE, CONSOLE_LISTEN, mend))
    if faults:
        raise ConfigError(faults)
    return ConsoleSettings(web.path, web.tls is not None, bool(web.rules.users), listen or HERE)
