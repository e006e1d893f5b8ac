"""What is allowed but unwise in sites.yml, .env and the files they name; one line each, with its mend."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from core.secrets import Secret
from core.servers.schema import servers
from core.sites import Document, Options
from exporter.site_options import SiteOptions, TopOptions
from exporter.target import instance
from remediator.configuration.schema import targets
from stack.configure.secret_words import SECRET_WORD
from stack.settings import LOOPBACK, Smtp

_OTHERS = 0o007
_OWN_WAYS = "basic_auth.password_file and authorization.credentials_file keep one in a file of its own"
_SECRET_WORDS = ("PASSWORD", "TOKEN", "KEY", "URL", "TELEGRAM")
"""Variables whose name ends so hold something that others should not read."""


def warnings(document: Document, environ: Mapping[str, str], smtp: Smtp | None) -> Iterator[str]:
    """Yield what is unsafe; nothing where all is well."""
    yield from _secrets_in_the_file(document)
    yield from _files_of_others(document, environ)
    yield from _healing(document)
    if smtp is not None and smtp.tls == "none" and smtp.server.host not in LOOPBACK:
        yield f".env: SMTP_TLS=none: mails to {smtp.server.host} go over the network in the open"


def _secrets_in_the_file(document: Document) -> Iterator[str]:
    name = document.path.name
    for module, options in document.top(TopOptions).modules.items():
        for key in _secret_keys(options):
            yield f"{name}: modules.{module}.{key}: a secret stands in it: put it into a file of its own"
        for header in getattr(getattr(options, "http", None), "headers", {}):
            if SECRET_WORD.search(header):
                yield f"{name}: modules.{module}.http.headers.{header}: seems to hold a secret: {_OWN_WAYS}"
    for site in document.sites:
        if _holds_login(site.part(SiteOptions).url):
            yield (
                f"{site.file}: {site.path}.url: a password stands in the file: "
                "give the site a module with basic_auth and password_file"
            )
    for number, canary in enumerate(document.top(TopOptions).canaries):
        if _holds_login(canary):
            yield f"{name}: canaries[{number}]: a password stands in the file: take an address without one"


def _holds_login(url: str) -> bool:
    return "@" in url.partition("?")[0] and "@" not in instance(url)


def _secret_keys(options: Options, prefix: str = "") -> Iterator[str]:
    for name in type(options).model_fields:
        value = getattr(options, name)
        if isinstance(value, Secret):
            yield f"{prefix}{name}"
        elif isinstance(value, Options):
            yield from _secret_keys(value, f"{prefix}{name}.")


def _files_of_others(document: Document, environ: Mapping[str, str]) -> Iterator[str]:
    env = document.folder / ".env"
    if _others_may_read(env):
        yield f".env: others on this machine may read it: chmod 600 {env}"
    for name, value in sorted(environ.items()):
        if name.endswith("_FILE") and name.removesuffix("_FILE").endswith(_SECRET_WORDS):
            path = Path(value)
            if value and _others_may_read(path):
                yield f".env: {name}: others on this machine may read it: chmod 600 {path}"
    if document.path.is_file() and document.path.stat().st_mode & 0o002:
        mend = f"chmod o-w {document.path}"
        yield f"{document.path.name}: anybody here may change it, and with it what is healed: {mend}"


def _others_may_read(path: Path) -> bool:
    try:
        return path.is_file() and bool(path.stat().st_mode & _OTHERS)
    except OSError:
        return False


def _healing(document: Document) -> Iterator[str]:
    name, healed = document.path.name, targets(document)
    if not healed:
        return
    canaries = document.top(TopOptions).canaries
    if not canaries:
        reboots = any(target.server.may_reboot for target in healed.values())
        more = ", and no Linode is rebooted" if reboots else ""
        yield (
            f"{name}: canaries: there are none: an outage of our network looks like one of the sites{more};"
            ' add two addresses of others, such as ["https://www.example.org/", "tcp://198.51.100.1:443"]'
        )
    elif len(canaries) == 1:
        yield f"{name}: canaries: there is only one: while it is down itself, nothing is healed; add another"
    needed = {target.server.name for target in healed.values()}
    for server_name, server in servers(document).items():
        if server_name in needed and server.ssh is not None and server.ssh.user == "root":
            yield (
                f"{name}: servers.{server_name}.ssh: logs in as root: "
                "make a user that may only use Docker (docs/security.md)"
            )
