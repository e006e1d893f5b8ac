"""Logs: one fixed message plus fields, as logfmt or JSON, one line each."""

import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TextIO

LEVELS = ("debug", "info", "warn", "warning", "error")
"""`warn` is what Prometheus's own programs call `warning`."""
FORMATS = ("logfmt", "json")


def fields(**values: object) -> dict[str, Any]:
    """Return `values` as the `extra=` of a logging call."""
    return {"fields": values}


def setup(level: str = "info", fmt: str = "logfmt", stream: TextIO | None = None) -> None:
    """Send every log line to `stream` (standard error unless told) in `fmt`."""
    handler = logging.StreamHandler(stream if stream is not None else sys.stderr)
    handler.setFormatter(JsonFormatter() if fmt == "json" else LogfmtFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for noisy in ("urllib3", "waitress.queue", "aiosmtpd", "mail.log"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))
    logging.getLogger("paramiko").setLevel(logging.CRITICAL)  # it logs a traceback for what it also raises


class LogfmtFormatter(logging.Formatter):
    """`time=… level=info logger=exporter.web msg="listening" address=127.0.0.1:9115`."""

    def format(self, record: logging.LogRecord) -> str:
        return " ".join(f"{key}={logfmt_value(value)}" for key, value in _entries(record, self))


class JsonFormatter(logging.Formatter):
    """The same entries as one JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(dict(_entries(record, self)), ensure_ascii=False, default=str)


def _entries(record: logging.LogRecord, formatter: logging.Formatter) -> list[tuple[str, object]]:
    time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    entries: list[tuple[str, object]] = [
        ("time", time.replace("+00:00", "Z")),
        ("level", record.levelname.lower()),
        ("logger", record.name),
        ("msg", record.getMessage()),
    ]
    extra = getattr(record, "fields", None)
    if isinstance(extra, Mapping):
        entries.extend((str(key), value) for key, value in extra.items() if value is not None)
    if record.exc_info:
        entries.append(("traceback", formatter.formatException(record.exc_info)))
    return entries


def logfmt_value(value: object) -> str:
    """Write one value: on one line, quoted where it would not stand by itself."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.6g}" if abs(value) < 1e6 else repr(value)
    text = str(value)
    if text and all(character.isprintable() and character not in ' "=\\' for character in text):
        return text
    return json.dumps(text, ensure_ascii=False)
