"""Would a server let us heal on it: its files, SSH, the wrapper, Docker, each container, each hook."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import replace

from core.servers.known_hosts import host_name, scan_line
from core.servers.options import CONTAINER_NAME
from core.servers.server import ActionError, Connector, Reason, Server, SshSettings
from core.sites.validate import nearest
from remediator.actions.run_hook import hook_fault
from remediator.model.action import Target, World
from remediator.on_server import docker, wrapper
from remediator.readiness.check import Check, Name
from remediator.readiness.plan import ServerPlan

NAMES_ARGV = ("docker", "ps", "--all", "--format", "{{.Names}}")
"""Asked only where no wrapper stands before it: for the name that was most likely meant."""
_OF_DOCKER = frozenset({Reason.COMMAND_FAILED, Reason.TIMEOUT, Reason.UNKNOWN, Reason.UNREACHABLE})
"""What `docker` dies of whatever it is asked for."""


def files(plan: ServerPlan) -> list[Check]:
    """Tell what is wrong with the key and the known_hosts file."""
    name = plan.server.name
    if plan.server.ssh is None:
        return []
    if not plan.file_faults:
        return [Check(Name.FILES, True, "the key and known_hosts are there", server=name)]
    mend = f"./sitemedic server setup {name} goes through it step by step"
    return [Check(Name.FILES, False, f"{path}: {text}", mend, name) for path, text in plan.file_faults]


def look(plan: ServerPlan, world: World) -> list[Check]:
    """Go in and look, changing nothing; never raises."""
    found = files(plan)
    if any(one.ok is False for one in found) or not plan.concerned:
        return found
    server = plan.server
    try:
        with world.connect(server) as connector:
            if server.ssh is not None:
                ssh = server.ssh
                detail = f"{ssh.user}@{ssh.host}:{ssh.port} lets us in and shows the pinned key"
                found.append(Check(Name.SSH, True, detail, server=server.name))
            return [*found, *_inside(plan, connector)]
    except ActionError as error:
        return [*found, _shut(server, error)]
    except Exception as error:  # noqa: BLE001 - a look must not end all looks, and says what was wrong
        text = f"looking at the server failed: {type(error).__name__}"
        return [*found, Check(Name.SSH, False, text, "look at the remediator's log", server.name)]


def _inside(plan: ServerPlan, connector: Connector) -> Iterator[Check]:
    server, allowed = plan.server, None
    if server.ssh is not None:
        try:
            allowed = wrapper.ask(connector, server.name)
        except ActionError as error:
            yield _no_command(server.name, server.ssh, error)
            if error.reason is Reason.TIMEOUT:
                return  # whatever else is asked there would wait as long
        else:
            yield _wrapper(plan, server.ssh, allowed)
    yield from _containers(plan, connector, allowed)
    for hook in plan.hooks:
        yield _hook(server.name, hook, allowed)


def _no_command(server: str, ssh: SshSettings, error: ActionError) -> Check:
    """Say why the first command there gave nothing: sshd lets us in, and the login shell waits, say."""
    mend = f"./sitemedic server setup {server} prints what to put there"
    if error.reason is Reason.TIMEOUT:
        mend = (
            f"try: {_by_hand(ssh, 'true')}. Where that hangs too, see what {ssh.user}'s shell reads before a "
            "command (bash: ~/.bashrc) or give the account /bin/sh, which reads nothing"
        )
    return Check(Name.WRAPPER, False, error.message, mend, server)


def _wrapper(plan: ServerPlan, ssh: SshSettings, allowed: wrapper.Allowed | None) -> Check:
    name = plan.server.name
    mend = f"./sitemedic server setup {name} prints what to put there"
    if allowed is None:
        text = (
            f"no forced command: whoever has the key may do everything that {ssh.user} may there; "
            "with Docker that is as much as root"
        )
        return Check(Name.WRAPPER, None, text, mend, name)
    if allowed.version != wrapper.VERSION:
        text = f"the wrapper there has version {allowed.version}, this Sitemedic's is {wrapper.VERSION}"
        if allowed.version < wrapper.SHOWS_CONTAINERS:
            text += "; the exporter sees no container through it"
        return Check(Name.WRAPPER, None, text, mend, name)
    if allowed.faults:
        text = f"{wrapper.ALLOWED}: {'; '.join(allowed.faults[:5])}"
        return Check(Name.WRAPPER, None, text, "correct these lines there", name)
    unseen = [line for line in plan.watched if line not in allowed.lines]
    if unseen:
        text = f"containers of sites.yml are not shown: {wrapper.ALLOWED} has no line {', '.join(unseen[:5])}"
        return Check(Name.WRAPPER, None, text, mend, name)
    count = len(allowed.lines)
    text = f"the key may do {count} {'thing' if count == 1 else 'things'} only"
    return Check(Name.WRAPPER, True, text, server=name)


def _containers(plan: ServerPlan, connector: Connector, allowed: wrapper.Allowed | None) -> Iterator[Check]:
    """Look for each container; what keeps Docker itself from answering is told once."""
    name = plan.server.name
    for number, target in enumerate(plan.targets):
        try:
            found = [_found(target, docker.find(connector, target))]
        except ActionError as error:
            if error.reason in _OF_DOCKER:
                detail, mend = _parted(error.message, "; ", "look at Docker on the server: docker ps")
                yield Check(Name.DOCKER, False, detail, mend, name)
                return
            found = [_lost(target, error, connector, allowed)]
        if number == 0:
            yield Check(Name.DOCKER, True, "Docker answers", server=name)
        yield from found


def _found(target: Target, state: docker.ContainerState) -> Check:
    server, site = target.server.name, target.site
    if state.status == "paused":
        text = f"{state.name} is paused, and is not restarted while it is"
        return Check(Name.CONTAINER, False, text, f"on {server}: docker unpause {state.name}", server, site)
    text = f"{target.label} is there once ({state.name}, {state.status})"
    return Check(Name.CONTAINER, True, text, server=server, site=site)


def _lost(target: Target, error: ActionError, connector: Connector, allowed: wrapper.Allowed | None) -> Check:
    server, site = target.server.name, target.site
    if error.reason is Reason.NOT_ALLOWED and ": add the line " in error.message:
        detail, line = _parted(error.message, ": add the line ", "")
        mend = f"on {server}, add the line {line}; or put it there anew: ./sitemedic server setup {server}"
        return Check(Name.CONTAINER, False, detail, mend, server, site)
    detail, mend = _parted(error.message, ": ", "correct recover: in sites.yml")
    if error.reason is Reason.NOT_FOUND and allowed is None and target.container is not None:
        detail += _nearest(target.container, connector)
    return Check(Name.CONTAINER, False, detail, mend, server, site)


def _nearest(wanted: str, connector: Connector) -> str:
    """Name the containers that there are: the one most likely meant, else some."""
    try:
        result = connector.run(NAMES_ARGV, docker.LOOK_SECONDS)
    except ActionError:
        return ""
    names = [name for name in result.stdout.split() if CONTAINER_NAME.fullmatch(name)]
    if result.exit_status != 0 or not names:
        return " (there is none at all)" if result.exit_status == 0 else ""
    return nearest(wanted, names) or f" (there are: {', '.join(sorted(names)[:5])})"


def _hook(server: str, hook: str, allowed: wrapper.Allowed | None) -> Check:
    if allowed is None:
        text = f"hook {hook} needs the wrapper, and there is none"
        mend = f"./sitemedic server setup {server} prints what to put there"
        return Check(Name.HOOK, False, text, mend, server)
    fault = hook_fault(allowed, hook)
    if fault is None:
        return Check(Name.HOOK, True, f"hook {hook} can be run", server=server)
    detail, mend = _parted(fault, ": add the line ", "")
    mend = f"on {server}, add the line {mend}" if mend else f"mend it on {server}: see docs/servers.md"
    return Check(Name.HOOK, False, detail, mend, server)


def _shut(server: Server, error: ActionError) -> Check:
    """Say why there is no way in, and what to do about it."""
    if server.ssh is None:
        detail, mend = _parted(error.message, ": ", "install Docker on this machine")
        return Check(Name.DOCKER, False, detail, mend, server.name)
    detail, mend = error.message, ""
    match error.reason:
        case Reason.HOST_KEY_UNKNOWN:
            detail, mend = _parted(detail, ". Run: ", scan_line(server.ssh))
            mend = f"run: {mend}"
        case Reason.HOST_KEY_CHANGED:
            detail, mend = detail.partition(": either")[0], _changed(server.ssh)
        case Reason.AUTH:
            detail, mend = _parted(detail, ": ", "")
            mend = f"{mend}; ./sitemedic server setup {server.name} prints the line"
        case Reason.UNREACHABLE:
            mend = f"is it up, does sshd run, does a firewall let us in? Try: {_by_hand(server.ssh)}"
        case Reason.CANNOT_TELL:
            mend = (
                f"look at this machine: does the name resolve, is there a route? Try: {_by_hand(server.ssh)}"
            )
        case _:
            mend = f"try: {_by_hand(server.ssh)}"
    return Check(Name.SSH, False, detail, mend, server.name)


def _changed(ssh: SshSettings) -> str:
    forget = shlex.join(["ssh-keygen", "-R", host_name(ssh), "-f", str(ssh.known_hosts_file)])
    return (
        "healing there has stopped. Compare the fingerprint on the server's own console (ssh-keygen -lf "
        f"/etc/ssh/ssh_host_ed25519_key.pub). Only where it is the server's own: {forget} && {scan_line(ssh)}"
    )


def _by_hand(ssh: SshSettings, *command: str) -> str:
    key = ["-i", str(ssh.key_file)] if ssh.key_file is not None else []
    port = ["-p", str(ssh.port)] if ssh.port != 22 else []
    return shlex.join(["ssh", *key, *port, f"{ssh.user}@{ssh.host}", *command])


def _parted(text: str, at: str, otherwise: str) -> tuple[str, str]:
    """Part a message into what is wrong and what mends it."""
    detail, _, mend = text.partition(at)
    return detail, mend or otherwise


def without_looking(plan: ServerPlan) -> tuple[Check, ...]:
    """Return what can be told before the first look."""
    name = plan.server.name
    told = files(plan)
    if plan.concerned and all(one.ok for one in told):
        told = [*told, replace(Check(Name.SSH, None, "not looked at yet"), server=name)]
    return tuple(told)
