"""`./sitemedic config show SITE`: what holds for a site in the end, and where each piece comes from."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import yaml

from core.durations import format_duration
from core.flags import config_file
from core.servers.schema import servers
from core.servers.server import Server
from core.shares import format_share
from core.sites import Document, Setting, Site, effective
from exporter.configuration import BY_PROBER, default_timeout
from exporter.containers.plan import watched_servers
from exporter.containers.selection import wanted_for
from exporter.heartbeats.options import heartbeat_of
from exporter.site_options import SiteOptions, prober_of
from exporter.target import instance
from remediator.configuration.schema import mode, needs_of, playbooks, targets
from remediator.model.action import Target
from remediator.model.incident import Kind
from remediator.model.playbooks import PlannedStep, Playbook
from stack.alerting import site_mail_to
from stack.errors import StackError
from stack.parts import PARTS


@click.command("show")
@click.argument("site")
@config_file("The sites.yml to read.")
def show_command(site: str, config_file: Path) -> None:
    """Tell what holds for SITE (an app is parent/child), and where each setting comes from."""
    try:
        document, found, settings = effective(config_file, PARTS, site)
    except LookupError as error:
        raise StackError(str(error.args[0])) from error
    click.echo(f"{found.name}   ({found.file}: {found.path})\n")
    click.echo(_table(settings))
    click.echo()
    for line in _consequences(document, found):
        click.echo(line)


def _table(settings: list[Setting]) -> str:
    rows = [(each.key, _text(each.key, each.value), each.origin or "built in") for each in settings]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    return "\n".join(f"  {key:<{widths[0]}}  {value:<{widths[1]}}  {origin}" for key, value, origin in rows)


def _text(key: str, value: Any) -> str:
    """Write a value as it would stand in the file, without the secrets in a URL."""
    if value in (None, "", [], {}):
        return "–"
    if key == "url":
        return _without_secrets(str(value))
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10_000)
    return text.removesuffix("\n").removesuffix("\n...")


def _without_secrets(url: str) -> str:
    """Return an address without login and query: both are where tokens stand."""
    return instance(url) + ("?…" if "?" in url else "")


def _consequences(document: Document, site: Site) -> Iterator[str]:
    """Say in sentences what the settings come to."""
    options = site.part(SiteOptions)
    module = options.module or BY_PROBER[prober_of(options.url)]
    timeout = options.timeout or default_timeout(options.interval)
    heartbeat = heartbeat_of(site, document)
    if heartbeat is not None:
        yield (
            f"Not probed: its job must be heard every {format_duration(heartbeat.every)}, with"
            f" {format_duration(heartbeat.grace)} of grace."
            f" What it calls: ./sitemedic config heartbeat {site.name}"
        )
    else:
        yield (
            f"Probed every {format_duration(options.interval)} with module {module},"
            f" {format_duration(timeout)} at most."
        )
    yield f"Alerts ({options.alert.severity}) after failing for {format_duration(options.alert.after)}."
    mail = site_mail_to(site)
    recovered = "" if mail.recovered == mail.down else f"; when it is back: {_people(mail.recovered)}"
    yield f"Mailed: {_people(mail.down)}{recovered}."
    target = targets(document).get(site.name)
    if target is None:
        yield "Healing: none. Without recover: it is watched only."
        return
    yield from _healing(document, site, target)


def _healing(document: Document, site: Site, target: Target) -> Iterator[str]:
    server = servers(document)[target.server.name]
    container = target.container or "/".join(target.compose or ())
    where = (
        "on this machine"
        if server.ssh is None
        else f"as {server.ssh.user}@{server.ssh.host}:{server.ssh.port}"
    )
    yield f"Healing ({mode(document, site).value}): restarts {container} on {server.name} {where}."
    if server.may_reboot:
        yield f"May reboot Linode {server.linode}."
    if server.may_boot:
        yield f"May boot Linode {server.linode} when it is switched off."
    yield _watching(document, site)
    yield from _playbook(playbooks(document)[site.name], document, server)
    if needs := needs_of(document, site):
        yield f"Healed only while these are healthy: {', '.join(needs)}."


def _watching(document: Document, site: Site) -> str:
    place = document.place(site)
    watched = {one.server.name: one for one in watched_servers(document)}
    wanted = wanted_for(watched[place.server], place) if place and place.server in watched else None
    if wanted is None:
        return "Its container is not watched (containers: off)."
    limits = wanted.thresholds
    return (
        f"Its container is watched: more than {format_share(limits.cpu)} of its CPU or"
        f" {format_share(limits.memory)} of its memory is too much,"
        f" and so are {limits.restarts} restarts in 10m."
    )


def _playbook(playbook: Playbook, document: Document, server: Server) -> Iterator[str]:
    place = "built in" if playbook.built_in else f"{document.path.name}: playbooks.{playbook.name}"
    yield f"Playbook {playbook.name} ({place}), the first step that what is found allows:"
    for kind in (Kind.ANSWERS_WRONGLY, Kind.DOES_NOT_ANSWER):
        steps = [_step(one, server) for one in playbook.steps(kind)]
        yield f"  {kind.replace('_', ' ')}: {', '.join((*steps, 'a human'))}"


def _step(step: PlannedStep, server: Server) -> str:
    notes = [f"{step.at_most} times at most"] if step.at_most > 1 else []
    notes += [f"then {format_duration(step.wait)} of rest"] if step.wait is not None else []
    notes += [f"mode {step.mode}"] if step.mode is not None else []
    allowed = {"reboot_linode": server.may_reboot, "boot_linode": server.may_boot}.get(step.action, True)
    notes += [] if allowed else ["not allowed on this server"]
    return step.name + (f" ({', '.join(notes)})" if notes else "")


def _people(addresses: tuple[str, ...]) -> str:
    return ", ".join(addresses) or "nobody"
