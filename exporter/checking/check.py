"""`./sitemedic check`: probe targets once, tell the verdict, and mail it when something fails."""

import asyncio
import socket
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from core.durations import parse_duration
from core.environment import load_environment
from core.faults import ConfigError, quoted
from core.flags import config_file
from core.sites import Part
from core.sites.validate import nearest
from exporter.checking.mail import MailError, send
from exporter.checking.verdict import WORDS, marks_for, verdicts
from exporter.configuration import BY_PROBER, LONGEST_DEFAULT_TIMEOUT, Configuration, read
from exporter.module import BUILT_IN, Module
from exporter.modules import named
from exporter.probe import Probers
from exporter.result import Result
from exporter.schema import PART
from exporter.site_options import prober_of
from exporter.target import instance

ROOT = Path(__file__).resolve().parent.parent
"""The folder that holds `.env`."""

_AT_ONCE = 50


@dataclass(frozen=True)
class _Wanted:
    """One target as it will be probed."""

    shown: str
    url: str
    module: Module
    seconds: float
    resolver: str | None = None


class _Seconds(click.ParamType[float]):
    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            found = parse_duration(value if isinstance(value, str | int | float) else str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if not found:
            self.fail("must be more than 0", param, ctx)
        return found


@click.command("check", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("targets", nargs=-1, required=True, metavar="TARGET...")
@click.option(
    "--mail-to", multiple=True, metavar="ADDRESS", help="Mail the verdict there when something fails."
)
@click.option(
    "--module", "module_name", help="The module to probe with; of --config.file, or a built-in one."
)
@click.option("--timeout", "seconds", type=_Seconds(), help="How long one probe may take.  [default: 5s]")
@config_file(
    "A sites.yml, whose sites may be named, or a blackbox.yml.  [default: sites.yml beside .env]",
    None,
)
@click.pass_obj
def check_command(
    parts: Sequence[Part] | None,
    targets: tuple[str, ...],
    mail_to: tuple[str, ...],
    module_name: str | None,
    seconds: float | None,
    config_file: Path | None,
) -> None:
    """Probe each TARGET once: https://shop.example.com/health, tcp://db:5432, or a site's name.

    Exits 0 when all succeed and 1 when one fails or the mail does not leave. Mail goes through SMTP_HOST
    of .env, else through the local sendmail.
    """
    _refuse_bad_addresses(mail_to)
    try:
        configuration = _configuration(config_file, targets, parts or (PART,))
        environ = load_environment(ROOT)
    except ConfigError as error:
        raise click.ClickException(str(error)) from error
    module = _module(module_name, configuration)
    wanted = [_wanted(target, module, seconds, configuration) for target in dict.fromkeys(targets)]
    outcomes = asyncio.run(_probe_all(wanted))
    click.echo(verdicts(outcomes, marks_for(sys.stdout.encoding)), nl=False)
    failed = [shown for shown, result in outcomes if not result.success]
    if failed and mail_to:
        _mail(outcomes, failed, mail_to, environ)
    sys.exit(1 if failed else 0)


def _refuse_bad_addresses(addresses: Sequence[str]) -> None:
    for address in addresses:
        name, at, domain = address.rpartition("@")
        if not (name and at and domain) or not address.isprintable() or " " in address or address[0] == "-":
            raise click.BadParameter(
                f"must be a mail address (got {quoted(address)})", param_hint="--mail-to"
            )


def _configuration(file: Path | None, targets: Sequence[str], parts: Sequence[Part]) -> Configuration | None:
    """Read the file that was named, else sites.yml beside `.env` where a target may be a site's name."""
    beside = ROOT / "sites.yml"
    if file is None and any("://" not in target for target in targets) and beside.exists():
        file = beside
    if file is None:
        return None
    return read(file, parts)


def _module(name: str | None, configuration: Configuration | None) -> Module | None:
    """Return the module that was asked for. Raises click.BadParameter."""
    if name is None:
        return None
    try:
        module = named(configuration.modules if configuration else BUILT_IN, name)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--module") from error
    for key, message in module.complaints():
        raise click.BadParameter(f"{name!r} cannot be used: {key}: {message}", param_hint="--module")
    return module


def _wanted(
    target: str, chosen: Module | None, seconds: float | None, configuration: Configuration | None
) -> _Wanted:
    """Settle how a target is probed. Raises click.UsageError when it names nothing."""
    if not target.strip():
        raise click.UsageError("a target is empty: is a variable not set?")
    modules: Mapping[str, Module] = configuration.modules if configuration else BUILT_IN
    sites = {site.name: site for site in configuration.sites} if configuration else {}
    if target in sites:
        site = sites[target]
        return _Wanted(target, site.url, chosen or site.module, seconds or site.timeout, site.resolver)
    try:
        if chosen is None or "://" in target:
            prober = prober_of(target)
            chosen = chosen or modules[BY_PROBER[prober]]
    except ValueError as error:
        hint = "" if "://" in target else _names(target, sites)
        raise click.UsageError(f"{instance(target)}: {error}{hint}") from error
    return _Wanted(instance(target), target, chosen, seconds or chosen.timeout or LONGEST_DEFAULT_TIMEOUT)


def _names(target: str, sites: Collection[str]) -> str:
    """Say what else a target without a protocol may have meant."""
    if not sites:
        return "; for a site's name, give its file: --config.file=sites.yml"
    meant = nearest(target, sites) or f" (there are: {', '.join(sorted(sites)[:20])})"
    return f"; no site bears that name{meant}"


async def _probe_all(wanted: Sequence[_Wanted]) -> list[tuple[str, Result]]:
    """Probe everything, some at once; returns (shown target, result) in order."""
    turn = asyncio.Semaphore(_AT_ONCE)
    async with Probers.start() as probers:

        async def one(item: _Wanted) -> tuple[str, Result]:
            async with turn:
                result = await probers.probe(item.url, item.module, item.seconds, resolver=item.resolver)
                return item.shown, result

        return list(await asyncio.gather(*(one(item) for item in wanted)))


def _mail(
    outcomes: Sequence[tuple[str, Result]],
    failed: Sequence[str],
    recipients: Sequence[str],
    environ: Mapping[str, str],
) -> None:
    """Mail the verdicts, or say why that failed; the probes have failed anyway, so the end is 1."""
    what = failed[0] if len(failed) == 1 else f"{len(failed)} of {len(outcomes)} targets"
    text = f"Probed from {socket.gethostname()}.\n\n{verdicts(outcomes, WORDS)}"
    try:
        send(f"[sitemedic] {what} failed", text, recipients, environ)
    except (MailError, ConfigError) as error:
        click.echo(f"no mail was sent: {error}", err=True)
    else:
        click.echo(f"mailed to {', '.join(recipients)}", err=True)
