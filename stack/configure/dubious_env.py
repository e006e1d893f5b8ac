"""What in .env is allowed but hardly meant: a name misspelt or set twice, a secret cut short by a comment."""

import io
import re
from collections import Counter
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path

from dotenv.parser import Binding, parse_stream

from core.plain_files import read_text
from stack.console import CONSOLE_LISTEN, CONSOLE_WEB
from stack.receivers import VARIABLES
from stack.settings import SERVICES

SECRETS = (
    *("SMTP_PASSWORD", "LINODE_TOKEN", "STORAGE_URL", "CONSOLE_PASSWORD", "WEBHOOK_TOKEN", "API_TOKEN"),
    *("GRAFANA_ADMIN_PASSWORD", *VARIABLES),
)
"""Each may stand in a file instead, as NAME_FILE."""

KNOWN = (
    *("SMTP_HOST", "SMTP_PORT", "SMTP_USERNAME", "SMTP_FROM", "SMTP_TLS", "LINODE_API_URL"),
    *("PUBLIC_URL", "GRAFANA_URL", "ALERTMANAGER_URL", CONSOLE_WEB, CONSOLE_LISTEN),
    *("SITEMEDIC_UID", "SITEMEDIC_GID", "SITEMEDIC_CONFIG"),
    *(f"{name.upper()}_PORT" for name in SERVICES),
    *SECRETS,
    *(f"{name}_FILE" for name in SECRETS),
)
ELSEWHERE = ("HEARTBEAT_KEY", "HEARTBEAT_KEY_FILE")
"""The exporter reads these out of its own environment, and .env is not in it."""

_ALIKE = 0.8
_CUT = re.compile(r"=[ \t]*[^'\"\s#][^\n]*?[ \t]#")


def notes(file: Path) -> Iterator[str]:
    """Yield a line for each; no value is shown. The file can be read, or is not there."""
    if not file.is_file():
        return
    found = list(parse_stream(io.StringIO(read_text(file, "utf-8-sig"))))
    names = Counter(one.key for one in found if one.key is not None)
    for name, times in names.items():
        if name in ELSEWHERE:
            yield f".env: nothing reads {name} here: it belongs into the exporter's own environment"
        elif (
            name not in KNOWN
            and (meant := get_close_matches(name, KNOWN, 1, _ALIKE))
            and meant[0] not in names
        ):
            yield f".env: nothing reads {name} (did you mean {meant[0]}?)"
        if times > 1 and name in KNOWN:
            yield f".env: {name} is set {times} times: the last one counts"
    yield from (
        f".env: line {one.original.line}: {one.key} ends before the #: in single quotes it is a part of it"
        for one in found
        if _cut_short(one)
    )


def _cut_short(one: Binding) -> bool:
    return one.key in SECRETS and _CUT.search(one.original.string) is not None
