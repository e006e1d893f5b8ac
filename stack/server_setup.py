"""What to put on a server, as a script for its root: a user, the wrapper, its list, and the key's line."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass

import paramiko
from paramiko.pkey import UnknownKeyType

from core.servers.known_hosts import known_keys, scan_line
from core.servers.server import ActionError, SshSettings
from core.sites import Document
from core.sites.validate import nearest
from remediator.on_server import wrapper
from remediator.readiness import plan_of
from remediator.readiness.plan import ServerPlan
from stack.errors import StackError

USER = "sitemedic"
_FOLDER = "/var/lib/sitemedic"


@dataclass(frozen=True)
class Setup:
    """All that the script is made of; `public` is the key's kind and body, without a comment."""

    name: str
    user: str
    ssh: SshSettings
    public: str
    allowed: tuple[str, ...]
    hooks: tuple[str, ...] = ()
    pinned: bool = False


def setup_of(document: Document, name: str, user: str | None = None) -> Setup:
    """Read what a server needs out of sites.yml; raise StackError, which says what is missing."""
    servers = plan_of(document).servers
    if name not in servers:
        known = (
            f"known: {', '.join(sorted(servers))}" if servers else "name it there: docs/servers.md says how"
        )
        raise StackError(f"sites.yml has no server {name!r}{nearest(name, servers) or f' ({known})'}")
    plan = servers[name]
    ssh = plan.server.ssh
    if ssh is None:
        raise StackError(f"{name} is this machine (docker: local): nothing is put anywhere")
    return Setup(
        name=name,
        user=user or (ssh.user if ssh.user != "root" else USER),
        ssh=ssh,
        public=public_key(ssh),
        allowed=allowed_lines(plan),
        hooks=plan.hooks,
        pinned=_is_pinned(ssh),
    )


def allowed_lines(plan: ServerPlan) -> tuple[str, ...]:
    """Return the wrapper's list for a server: what sites.yml heals and watches on it, and nothing else."""
    kinds = [
        f"compose {target.label}" if target.compose is not None else f"container {target.label}"
        for target in plan.targets
    ]
    return (*sorted(kinds), *plan.watched, *(f"hook {hook}" for hook in plan.hooks))


def public_key(ssh: SshSettings) -> str:
    """Return the public half of the server's key; raise StackError where there is no usable key."""
    path = ssh.key_file
    make = "mkdir -p -m 700 keys && ssh-keygen -q -t ed25519 -N '' -C sitemedic -f keys/medic"
    if path is None:
        raise StackError(
            f"there is no key for {ssh.host} yet. Make one:\n  {make}\n"
            "and name it in sites.yml: defaults: {ssh: {key_file: keys/medic}}"
        )
    make = f"ssh-keygen -q -t ed25519 -N '' -C sitemedic -f {shlex.quote(str(path))}"
    try:
        key = paramiko.PKey.from_path(path)
    except FileNotFoundError as error:
        folder = shlex.quote(str(path.parent))
        raise StackError(
            f"there is no key {path} yet. Make one:\n  mkdir -p -m 700 {folder}\n  {make}"
        ) from error
    except (paramiko.PasswordRequiredException, TypeError) as error:
        raise StackError(
            f"{path} has a passphrase, which nobody is here to type: use a key without one"
        ) from error
    except OSError as error:
        raise StackError(f"cannot read the key {path}: {error.strerror}") from error
    except (paramiko.SSHException, UnknownKeyType, ValueError) as error:
        raise StackError(f"{path} is not a usable private key. Make one elsewhere:\n  {make}.new") from error
    return f"{key.get_name()} {key.get_base64()}"


def script(setup: Setup) -> str:
    """Return the script; run as root on the server, as often as one likes, it does all that is needed."""
    return "\n".join((*_head(setup), *_user(), *_files(setup), *_key(setup), *_end(setup), ""))


def here(setup: Setup) -> list[str]:
    """Return what is to be done here afterwards, a line each."""
    lines = []
    if setup.ssh.user != setup.user:
        lines += [
            f"in sites.yml, log in as this user: servers: {{{setup.name}: {{ssh: {_place(setup)}}}}}",
        ]
    if not setup.pinned:
        lines += [
            "pin the server's own key:",
            f"  {scan_line(setup.ssh)}",
            "and compare its fingerprint with what the server's own console says; if they differ, stop:",
            f"  ssh-keygen -lf {shlex.quote(str(setup.ssh.known_hosts_file))}",
            "  on the server: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub",
        ]
    return [*lines, "look whether all of it works:", "  ./sitemedic doctor"]


def _head(setup: Setup) -> Iterator[str]:
    place = shlex.quote(setup.ssh.host)
    yield "#!/bin/sh"
    yield f"# What Sitemedic needs on {setup.name} ({setup.ssh.host}). Nothing has been run."
    yield "# Read it; then, as somebody who may become root there, for example:"
    yield f"#   ./sitemedic server setup {setup.name} | ssh YOU@{place} sudo sh"
    yield "# Run it again after a change of recover:, playbooks: or containers: in sites.yml."
    yield "set -eu"
    yield "umask 022"
    yield f"user={shlex.quote(setup.user)}"
    yield ""


def _user() -> Iterator[str]:
    yield "# 1. A user without a password, in the group docker. That group is as much as root:"
    yield "#    what limits the key is the wrapper below."
    yield """grep -q '^docker:' /etc/group || {
    echo "there is no group docker here: install Docker first" >&2
    exit 1
}
if ! grep -q "^$user:" /etc/passwd; then
    if command -v useradd >/dev/null; then
        useradd --system --user-group --home-dir /var/lib/sitemedic --shell /bin/sh "$user"
        usermod --password '*' "$user"
    else
        addgroup -S "$user"
        adduser -S -D -H -h /var/lib/sitemedic -s /bin/sh -G "$user" "$user"
        sed -i "s/^$user:!/$user:*/" /etc/shadow
    fi
fi
if command -v usermod >/dev/null; then usermod -aG docker "$user"; else addgroup "$user" docker; fi
"""


def _files(setup: Setup) -> Iterator[str]:
    yield "# 2. The wrapper: all that the key may do, whatever it asks for."
    yield f"mkdir -p {_FOLDER}/hooks /etc/sitemedic/hooks /usr/local/bin"
    yield f"chown 0:0 {_FOLDER} /etc/sitemedic /etc/sitemedic/hooks"
    yield f"chmod 755 {_FOLDER} /etc/sitemedic /etc/sitemedic/hooks"
    yield f'chown "$user" {_FOLDER}/hooks'
    yield f"chmod 700 {_FOLDER}/hooks"
    yield f"cat >{wrapper.PLACE}.new <<'END_OF_WRAPPER'"
    yield wrapper.FILE.read_text(encoding="utf-8").rstrip("\n")
    yield "END_OF_WRAPPER"
    yield f"chown 0:0 {wrapper.PLACE}.new"
    yield f"chmod 755 {wrapper.PLACE}.new"
    yield f"mv {wrapper.PLACE}.new {wrapper.PLACE}"
    yield ""
    yield "# 3. What sites.yml heals and watches on this server."
    yield f"elsewhere=$(grep '^docker_host ' {wrapper.ALLOWED} 2>/dev/null || :)"
    yield f"cat >{wrapper.ALLOWED}.new <<'END_OF_LIST'"
    yield from setup.allowed
    yield "END_OF_LIST"
    yield f'[ -z "$elsewhere" ] || printf "%s\\n" "$elsewhere" >>{wrapper.ALLOWED}.new'
    yield f"chown 0:0 {wrapper.ALLOWED}.new"
    yield f"chmod 644 {wrapper.ALLOWED}.new"
    yield f"mv {wrapper.ALLOWED}.new {wrapper.ALLOWED}"
    yield ""


def _key(setup: Setup) -> Iterator[str]:
    body = shlex.quote(setup.public.split()[1])
    line = f'restrict,command="{wrapper.PLACE}" {setup.public} sitemedic'
    yield "# 4. The key, for the wrapper only. The file is root's: what the user runs cannot change it."
    yield """home=$(awk -F: -v user="$user" '$1 == user { print $6 }' /etc/passwd)
mkdir -p "$home/.ssh"
keys=$home/.ssh/authorized_keys
[ -e "$keys" ] || : >"$keys\""""
    yield f'{{ grep -vF {body} "$keys" || :; }} >"$keys.new"'
    yield f"printf '%s\\n' {shlex.quote(line)} >>\"$keys.new\""
    yield 'chown 0:0 "$keys.new"'
    yield 'chmod 644 "$keys.new"'
    yield 'mv "$keys.new" "$keys"'
    yield 'if command -v restorecon >/dev/null; then restorecon -R "$home/.ssh" /usr/local/bin; fi'
    yield ""


def _end(setup: Setup) -> Iterator[str]:
    yield "# 5. What the key may do from now on:"
    for hook in setup.hooks:
        place = f"/etc/sitemedic/hooks/{hook}"
        yield f'[ -x {place} ] || echo "still to be written by you, root\'s and executable: {place}" >&2'
    yield f'su -s /bin/sh "$user" -c \'SSH_ORIGINAL_COMMAND="sitemedic-wrapper check" {wrapper.PLACE}\''
    yield ""
    yield "# Then here, where Sitemedic runs:"
    yield from (f"#   {line}" for line in here(setup))


def _place(setup: Setup) -> str:
    host = f"[{setup.ssh.host}]" if ":" in setup.ssh.host else setup.ssh.host
    port = f":{setup.ssh.port}" if setup.ssh.port != 22 else ""
    return f"{setup.user}@{host}{port}"


def _is_pinned(ssh: SshSettings) -> bool:
    try:
        return bool(known_keys(ssh).trusted)
    except ActionError:
        return False
