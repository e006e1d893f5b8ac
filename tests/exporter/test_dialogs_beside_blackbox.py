"""The same dialogs held by blackbox_exporter and by ours: the same samples, and our reasons."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, NamedTuple

import pytest
import trustme

from benchmarks.faults.dialogs import SCRIPTS
from benchmarks.faults.peer import speaking
from tests.exporter.beside import Beside, beside, without
from tests.exporter.certificates import context
from tests.smtp_server import smtp_server
from tests.ssh_server import running_ssh_server

pytestmark = pytest.mark.needs("prometheus-blackbox-exporter", "sshd")

LABELLED: dict[str, list[dict[str, Any]]] = {
    "ssh_labels": [
        {
            "expect": "^SSH-2.0-([^ -]+)(?: (.*))?$",
            "labels": [{"name": "version", "value": "${1}"}, {"name": "comments", "value": "v$2."}],
        }
    ],
    "odd_labels": [
        {
            "expect": "^SSH-(?P<major>[0-9])",
            "labels": [
                {"name": "named", "value": "${major}|$major|$major_|$1x|${1}x|$9|$$1|$|${|$-|$01|é"},
                {"name": "whole", "value": "$0"},
            ],
        }
    ],
    "said": [
        {"send": "STARTTLS"},
        {"expect": "^220", "starttls": True},
        {"send": "hello"},
        {"expect": "^250 (.+)", "labels": [{"name": "site", "value": "$1"}]},
    ],
}
"""What Debian's blackbox_exporter is too old for."""
DIALOGS: dict[str, list[dict[str, Any]]] = {
    "ssh_banner": [{"expect": "^SSH-2.0-", "send": "SSH-2.0-prober"}],
    "irc": [
        {"send": "NICK prober"},
        {"send": "USER prober prober prober :prober"},
        {"expect": "PING :([^ ]+)", "send": "PONG ${1}"},
        {"expect": "^:[^ ]+ 001"},
    ],
    "smtp_starttls": [
        {"expect": "^220 "},
        {"send": "EHLO prober\r"},
        {"expect": "^250-STARTTLS"},
        {"expect": "^250 ", "send": "STARTTLS\r"},
        {"expect": "^220 "},
        {"starttls": True},
        {"send": "EHLO prober\r"},
        {"expect": "^250-AUTH|^250 "},
        {"send": "QUIT\r"},
    ],
    "starting": [
        {"send": "STARTTLS"},
        {"expect": "^220", "starttls": True},
        {"send": "hello"},
        {"expect": "^250 (.+)"},
    ],
    "third_line": [{"expect": "^$"}, {"expect": "^\r$"}, {"expect": "^SSH"}],
}
CASES = {
    **{
        ("ssh_banner", name): ""
        for name in ("banner", "sshd", "unended", "empty_lines", "pieces", "fits", "binary")
    },
    ("third_line", "empty_lines"): "",
    ("ssh_banner", "other"): "body",
    ("ssh_banner", "other_stays"): "body",
    ("ssh_banner", "too_long"): "protocol",
    ("ssh_banner", "endless"): "protocol",
    ("ssh_banner", "silent"): "timeout",
    ("ssh_banner", "closed"): "reset",
    ("ssh_banner", "reset"): "reset",
    ("irc", "irc"): "",
    ("irc", "silent"): "timeout",
    ("smtp_starttls", "smtp"): "",
    ("starting", "starting"): "",
    ("starting", "banner"): "body",
    ("starting", "injecting"): "timeout",
}


class Servers(NamedTuple):
    both: Beside
    targets: dict[str, str]


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    folder, authority = tmp_path_factory.mktemp("dialogs"), trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    trusting = {"ca_file": str(folder / "ca.pem")}
    options: dict[str, dict[str, Any]] = {
        name: {"query_response": steps, "tls_config": trusting} for name, steps in DIALOGS.items()
    }
    options["distrusting"] = {"query_response": DIALOGS["starting"]}
    options["misnamed"] = {
        "query_response": DIALOGS["starting"], "tls_config": {**trusting, "server_name": "other.test"},
    }  # fmt: skip
    options["over_tls"] = {"query_response": DIALOGS["ssh_banner"], "tls": True, "tls_config": trusting}
    newer = {name: {"query_response": steps, "tls_config": trusting} for name, steps in LABELLED.items()}
    modules, ours = (
        {
            name: {"prober": "tcp", "timeout": "2s", "tcp": {"preferred_ip_protocol": "ip4", **given}}
            for name, given in some.items()
        }
        for some in (options, newer)
    )
    with ExitStack() as stack:
        tls = context(authority, "127.0.0.1")
        targets = {name: stack.enter_context(speaking(script, tls)) for name, script in SCRIPTS.items()}
        mailbox = stack.enter_context(smtp_server(tls=tls))
        targets["smtp"] = f"{mailbox.host}:{mailbox.port}"
        targets["sshd"] = f"127.0.0.1:{stack.enter_context(running_ssh_server(folder / 'sshd')).port}"
        yield Servers(stack.enter_context(beside(folder, modules, ours)), targets)


@pytest.mark.parametrize(("module", "server"), CASES)
def test_a_dialog_gives_the_same_samples_and_a_reason(servers: Servers, module: str, server: str) -> None:
    theirs, ours, reason = servers.both.judge(module, servers.targets[server])
    assert ours == theirs
    assert reason == CASES[module, server]


@pytest.mark.parametrize(
    ("module", "server"),
    [("distrusting", "starting"), ("misnamed", "starting"), ("over_tls", "secure"), ("over_tls", "banner")],
)
def test_tls_from_the_start_or_later_gives_the_same_samples_and_a_refused_certificate_too(
    servers: Servers, module: str, server: str
) -> None:
    theirs, ours, reason = servers.both.judge(module, servers.targets[server])
    if reason == "certificate":
        assert "probe_ssl_earliest_cert_expiry{}" in ours
        ours = without(ours, "probe_ssl_earliest_cert_expiry", "probe_tls_version_info")
    assert ours == theirs
    wanted = {"secure": "", "banner": "tls", "starting": "certificate"}
    assert reason == wanted[server]


@pytest.mark.parametrize(
    ("module", "server", "labels"),
    [
        ("ssh_labels", "banner", "comments=vsome comment.,version=Test_1.2"),
        ("ssh_labels", "unended", "comments=v.,version=Unended"),
        ("ssh_labels", "pieces", "comments=va b.,version=Pieces"),
        ("ssh_labels", "binary", "comments=vx.,version=ü"),
        ("odd_labels", "banner", "named=2|2|||2x||$1|$|${|$-||é,whole=SSH-2"),
        ("said", "starting", "site=hello"),
    ],
)
def test_what_a_pattern_found_becomes_labels(servers: Servers, module: str, server: str, labels: str) -> None:
    ours = servers.both.ask_ours(module, servers.targets[server])
    assert ours["probe_success{}"] == 1
    assert ours[f"probe_expect_info{{{labels}}}"] == 1


def test_the_real_sshd_says_its_version(servers: Servers) -> None:
    ours = servers.both.ask_ours("ssh_labels", servers.targets["sshd"])
    assert any("version=OpenSSH_" in name for name in ours if name.startswith("probe_expect_info"))
