"""What the demo server's `docker` command understands: ps, inspect, logs, start, restart, stop.

Output, exit statuses and error texts are those of Docker's own command (20.10 to 28); whatever is not
understood is refused as Docker refuses an unknown flag or command, never guessed at.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from demo.container import DEFAULT_STOP_SECONDS, Container

_FIELD = re.compile(r"{{\s*(json\s+)?((?:\.\w*)+)\s*}}")
_SHORT_ID = 12


@dataclass(frozen=True)
class Answer:
    """What the command prints and how it ends."""

    exit_status: int = 0
    stdout: str = ""
    stderr: str = ""


class _RefusedError(Exception):
    def __init__(self, exit_status: int, text: str) -> None:
        super().__init__(text)
        self.answer = Answer(exit_status, "", text + "\n")


@dataclass(frozen=True)
class _Call:
    options: Mapping[str, list[str]]
    names: Sequence[str]

    def last(self, key: str) -> str | None:
        return self.options[key][-1] if self.options.get(key) else None


# command → the flags it takes: every spelling → (name, whether a value follows)
_FLAGS: Mapping[str, Mapping[str, tuple[str, bool]]] = {
    "ps": {
        "-a": ("all", False),
        "--all": ("all", False),
        "-q": ("quiet", False),
        "--quiet": ("quiet", False),
        "--no-trunc": ("no-trunc", False),
        "-f": ("filter", True),
        "--filter": ("filter", True),
        "--format": ("format", True),
    },
    "inspect": {"-f": ("format", True), "--format": ("format", True), "--type": ("type", True)},
    "logs": {
        "-n": ("tail", True),
        "--tail": ("tail", True),
        "-t": ("timestamps", False),
        "--timestamps": ("timestamps", False),
    },
    "start": {},
    "stop": {"-t": ("time", True), "--time": ("time", True), "--timeout": ("time", True)},
    "restart": {"-t": ("time", True), "--time": ("time", True), "--timeout": ("time", True)},
}


async def run(argv: Sequence[str], container: Container) -> Answer:
    """Run `docker ARGV…` on a server that has this one container."""
    command, *rest = list(argv) or [""]
    if command == "container" and rest:
        command, *rest = rest
        command = {"ls": "ps", "list": "ps"}.get(command, command)
    if command not in _FLAGS:
        text = f"docker: '{command}' is not a docker command.\nSee 'docker --help'"
        return Answer(1, "", text + "\n")
    try:
        call = _parse(command, rest)
        if command == "ps":
            return _ps(call, container)
        if command == "inspect":
            return _inspect(call, container)
        if command == "logs":
            return _logs(call, container)
        return await _act(command, call, container)
    except _RefusedError as refused:
        return refused.answer


def _parse(command: str, arguments: Sequence[str]) -> _Call:
    options: dict[str, list[str]] = {}
    names: list[str] = []
    words = list(arguments)
    while words:
        word = words.pop(0)
        if word == "--":
            names += words
            break
        if not word.startswith("-") or word == "-":
            names.append(word)
            continue
        flag, equals, value = word.partition("=")
        known = _FLAGS[command].get(flag)
        if known is None:
            kind = "unknown flag: " if flag.startswith("--") else "unknown shorthand flag: "
            raise _RefusedError(125, f"{kind}{flag}\nSee 'docker {command} --help'.")
        key, valued = known
        if valued and not equals:
            if not words:
                raise _RefusedError(125, f"flag needs an argument: {flag}\nSee 'docker {command} --help'.")
            value = words.pop(0)
        options.setdefault(key, []).append(value)
    if command == "ps" and names:
        raise _RefusedError(1, '"docker ps" accepts no arguments.')
    if command != "ps" and not names:
        raise _RefusedError(1, f'"docker {command}" requires at least 1 argument.')
    return _Call(options, names)


def _known(name: str, container: Container) -> bool:
    bare = name.removeprefix("/")
    return bare == container.name or (len(bare) >= 1 and container.id.startswith(bare))


def _ps(call: _Call, container: Container) -> Answer:
    rows = []
    filters = call.options.get("filter", [])
    matches = _matches(filters, container)
    if matches and ("all" in call.options or container.running or _asks_status(filters)):
        rows.append(_row(container, full="no-trunc" in call.options))
    if "quiet" in call.options:
        return Answer(stdout="".join(f"{row['ID']}\n" for row in rows))
    template = call.last("format")
    if template is None or template in ("table", ""):
        return Answer(stdout=_table(rows))
    return Answer(stdout="".join(_fill(template, row) + "\n" for row in rows))


def _asks_status(filters: Iterable[str]) -> bool:
    return any(one.startswith("status=") for one in filters)


def _matches(filters: Iterable[str], container: Container) -> bool:
    wanted: dict[str, list[str]] = {}
    for one in filters:
        key, equals, value = one.partition("=")
        if not equals:
            raise _RefusedError(
                125, f'invalid argument "{one}" for "-f, --filter" flag: invalid filter \'{one}\''
            )
        if key not in ("name", "label", "status", "id"):
            raise _RefusedError(1, f"Error response from daemon: invalid filter '{key}'")
        wanted.setdefault(key, []).append(value)
    labels = [f"{key}={value}" for key, value in container.labels.items()] + list(container.labels)
    names = (container.name, f"/{container.name}")
    return (
        all(label in labels for label in wanted.get("label", []))
        and _any(wanted.get("name"), lambda text: any(re.search(text, name) for name in names))
        and _any(wanted.get("status"), lambda text: text == container.status)
        and _any(wanted.get("id"), container.id.startswith)
    )


def _any(values: Sequence[str] | None, test: Any) -> bool:
    return values is None or any(test(value) for value in values)


def _row(container: Container, full: bool) -> dict[str, str]:
    status = f"Up since {container.started_at}" if container.running else f"Exited ({container.exit_code})"
    return {
        "Command": '"shop"',
        "CreatedAt": container.created_at,
        "ID": container.id if full else container.id[:_SHORT_ID],
        "Image": container.image,
        "Labels": ",".join(f"{key}={value}" for key, value in container.labels.items()),
        "Names": container.name,
        "Ports": f"{container.host}:{container.port}->80/tcp" if container.running else "",
        "State": container.status,
        "Status": "Created" if container.status == "created" else status,
    }


def _table(rows: Sequence[Mapping[str, str]]) -> str:
    columns = {"CONTAINER ID": "ID", "IMAGE": "Image", "STATUS": "Status", "PORTS": "Ports", "NAMES": "Names"}
    lines = [list(columns)] + [[row[key] for key in columns.values()] for row in rows]
    widths = [max(len(line[index]) for line in lines) for index in range(len(columns))]
    padded = [[cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines]
    return "".join("   ".join(line).rstrip() + "\n" for line in padded)


def _inspect(call: _Call, container: Container) -> Answer:
    if call.last("type") not in (None, "container"):
        missing = list(call.names)
    else:
        missing = [name for name in call.names if not _known(name, container)]
    found = [container.record() for name in call.names if name not in missing]
    errors = "".join(f"Error: No such object: {name}\n" for name in missing)
    template = call.last("format")
    if template is None:
        stdout = json.dumps(found, indent=4) + "\n"
    else:
        stdout = "".join(_fill(template, record) + "\n" for record in found)
        stdout = stdout or ("\n" if missing else "")
    return Answer(1 if missing else 0, stdout, errors)


def _fill(template: str, value: Mapping[str, Any]) -> str:
    def one(match: re.Match[str]) -> str:
        found: Any = value
        for key in filter(None, match[2].split(".")):
            if not isinstance(found, Mapping) or key not in found:
                raise _RefusedError(1, f'template parsing error: map has no entry for key "{key}"')
            found = found[key]
        if match[1]:
            return json.dumps(found, separators=(",", ":"))
        return str(found).lower() if isinstance(found, bool) else str(found)

    filled = _FIELD.sub(one, template.replace("\\t", "\t"))
    if "{{" in filled and _FIELD.sub("", template).count("{{"):
        raise _RefusedError(
            1, "template parsing error: this docker knows only {{.Field}} and {{json .Field}}"
        )
    return filled


def _logs(call: _Call, container: Container) -> Answer:
    _require(call.names[0], container)
    lines = list(container.logs)
    tail = call.last("tail")
    if tail is not None and tail != "all":
        if not tail.isdigit():
            raise _RefusedError(1, f"Error response from daemon: invalid value for tail: {tail}")
        lines = lines[len(lines) - min(int(tail), len(lines)) :]
    written = {"stdout": "", "stderr": ""}
    for line in lines:
        prefix = f"{line.time} " if "timestamps" in call.options else ""
        written[line.stream] += f"{prefix}{line.text}\n"
    return Answer(0, **written)


async def _act(command: str, call: _Call, container: Container) -> Answer:
    text = call.last("time")
    try:
        timeout = DEFAULT_STOP_SECONDS if text is None else float(int(text))
    except ValueError:
        raise _RefusedError(125, f'invalid argument "{text}" for "-t, --time" flag: not a number') from None
    done, errors = "", ""
    for name in call.names:
        if not _known(name, container):
            errors += f"Error response from daemon: No such container: {name}\n"
            continue
        if command == "start":
            await container.start()
        elif command == "stop":
            await container.stop(timeout)
        else:
            await container.restart(timeout)
        done += f"{name}\n"
    if errors and command == "start":
        errors += f"Error: failed to start containers: {', '.join(n for n in call.names if n not in done)}\n"
    return Answer(1 if errors else 0, done, errors)


def _require(name: str, container: Container) -> None:
    if not _known(name, container):
        raise _RefusedError(1, f"Error response from daemon: No such container: {name}")
