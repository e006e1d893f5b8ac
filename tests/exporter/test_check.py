import os
import socket
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner

from exporter.checking.check import check_command
from exporter.checking.verdict import SYMBOLS, WORDS, marks_for, verdicts
from exporter.reason import Reason
from exporter.result import HTTPFacts, Phases, Result, TLSFacts
from tests.exporter.running import site, write
from tests.smtp_server import smtp_server


def check(*arguments: str, **environ: str) -> tuple[int, str, str]:
    """Run it with nothing of this machine's mail settings; return status, output and errors."""
    clean: dict[str, str | None] = {key: None for key in os.environ if key.startswith("SMTP_")}
    runner = CliRunner(env={**clean, "SMTP_HOST": "", **environ})
    done = runner.invoke(check_command, list(arguments), prog_name="check")
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout, done.stderr


def test_targets_that_are_well_exit_0_with_a_tick_and_phase_times() -> None:
    with site() as told, socket.create_server(("127.0.0.1", 0)) as listening:
        tcp = f"tcp://127.0.0.1:{listening.getsockname()[1]}"
        status, said, errors = check(told.url, tcp)
    assert (status, errors) == (0, "")
    lines = said.splitlines()
    assert lines[0].startswith(f"✓ {told.url}")
    assert "200 in " in lines[0]
    assert "connect " in lines[1]
    assert "processing " in lines[1]
    assert lines[2].startswith(f"✓ {tcp}")
    assert "connected in " in lines[2]
    assert lines[0].index("200 in") == lines[2].index("connected in")


def test_one_that_fails_exits_1_and_says_why() -> None:
    with site() as told:
        told.status = 503
        status, said, _ = check(told.url, "tcp://127.0.0.1:1")
    assert status == 1
    assert f"✗ {told.url}" in said
    assert "status: " in said
    assert "503" in said
    assert "refused: " in said


def test_sites_of_a_file_may_be_named_with_all_they_expect(tmp_path: Path) -> None:
    config = tmp_path / "sites.yml"
    with site() as told:
        write(config, {"sites": [{"name": "shop", "url": told.url, "expect": {"body": "Add to cart"}}]})
        status, said, _ = check(f"--config.file={config}", "shop")
        assert status == 1
        assert "✗ shop" in said
        assert "body: " in said
        told.body = "Add to cart"
        assert check(f"--config.file={config}", "shop")[0] == 0


def test_a_name_is_looked_for_in_the_sites_yml_beside_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exporter.checking.check.ROOT", tmp_path)
    with site() as told:
        assert "give its file: --config.file=sites.yml" in check("shop")[2]
        write(tmp_path / "sites.yml", {"sites": [{"name": "shop", "url": told.url}]})
        assert check("shop")[0] == 0
        assert "no site bears that name (did you mean 'shop'?)" in check("shpo")[2]
        write(tmp_path / "sites.yml", "a broken file is no matter where a URL is given")
        assert check(told.url)[0] == 0


def test_a_target_that_is_given_twice_is_probed_once() -> None:
    with site() as told:
        assert check(told.url, told.url)[1].count("✓") == 1
        assert len(told.asked) == 1


def test_a_module_may_be_named(tmp_path: Path) -> None:
    config = tmp_path / "blackbox.yml"
    write(config, {"modules": {"teapot": {"prober": "http", "http": {"valid_status_codes": [418]}}}})
    with site() as told:
        told.status = 418
        assert check(told.url)[0] == 1
        assert check(f"--config.file={config}", "--module=teapot", told.url)[0] == 0
        assert check(f"--config.file={config}", "--module=teapot", f"127.0.0.1:{told.port}")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Missing argument"),
        (["shop.example.com"], "needs its protocol in front"),
        (["ftp://a"], "must begin with"),
        (["tcp://a"], "lacks a port"),
        (["http://a/", "--module=nope"], "unknown module 'nope'"),
        ([""], "a target is empty: is a variable not set?"),
        (["http://a/", "--timeout=soon"], "must be a duration"),
        (["http://a/", "--timeout=0"], "must be more than 0"),
        (["http://a/", "--mail-to=nobody"], "must be a mail address"),
        (["http://a/", "--mail-to=-f@x.example"], "must be a mail address"),
        (["http://a/", "--mail-to=a@b.example\nBcc: c@d.example"], "must be a mail address"),
    ],
)
def test_a_wrong_command_line_exits_2(arguments: list[str], said: str) -> None:
    status, _, errors = check(*arguments)
    assert status == 2
    assert said in errors


def test_a_bad_configuration_exits_1_with_every_fault(tmp_path: Path) -> None:
    config = tmp_path / "sites.yml"
    write(config, {"sites": [{"name": "shop"}]})
    status, _, errors = check(f"--config.file={config}", "shop")
    assert status == 1
    assert "sites.yml: sites[0].url: is required" in errors


def test_a_timeout_is_kept() -> None:
    with site() as told:
        told.delay = 5
        status, said, _ = check(told.url, "--timeout=300ms")
    assert status == 1
    assert "timeout: " in said


def test_a_failure_is_mailed_and_a_success_is_not() -> None:
    with site() as told, smtp_server() as mailbox:
        environ = {
            "SMTP_HOST": mailbox.host, "SMTP_PORT": str(mailbox.port), "SMTP_TLS": "none",
            "SMTP_FROM": "Sitemedic <medic@example.com>",
        }  # fmt: skip
        to = ["--mail-to=a@example.com", "--mail-to=b@example.com"]
        assert check(told.url, *to, **environ)[0] == 0
        assert mailbox.mails == []
        told.status = 500
        status, _, errors = check(told.url, "tcp://127.0.0.1:1", *to, **environ)
        (mail,) = mailbox.wait_for(1)
    assert status == 1
    assert "mailed to a@example.com, b@example.com" in errors
    assert mail.sender == "medic@example.com"
    assert mail.recipients == ("a@example.com", "b@example.com")
    assert mail.subject == "[sitemedic] 2 of 2 targets failed"
    assert f"FAIL {told.url}" in mail.body()
    assert "status: " in mail.body()


def test_mail_goes_through_after_a_login_with_the_password_from_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("geheim\n")
    with smtp_server(login=("me", "geheim")) as mailbox:
        environ = {
            "SMTP_HOST": mailbox.host, "SMTP_PORT": str(mailbox.port), "SMTP_TLS": "none",
            "SMTP_USERNAME": "me", "SMTP_PASSWORD_FILE": str(secret), "SMTP_FROM": "me@example.com",
        }  # fmt: skip
        status, _, errors = check("tcp://127.0.0.1:1", "--mail-to=a@example.com", **environ)
        assert (status, errors) == (1, "mailed to a@example.com\n")
        assert mailbox.wait_for(1)[0].subject == "[sitemedic] tcp://127.0.0.1:1 failed"


def mail_failure(**environ: str) -> str:
    status, said, errors = check(
        "tcp://127.0.0.1:1", "--mail-to=a@example.com", SMTP_FROM="me@example.com", **environ
    )
    assert status == 1
    assert "refused: " in said
    assert "geheim" not in errors + said
    assert errors.startswith("no mail was sent: ")
    return errors


def test_a_wrong_password_is_one_clear_message_without_the_password() -> None:
    with smtp_server(login=("me", "right")) as mailbox:
        errors = mail_failure(
            SMTP_HOST=mailbox.host, SMTP_PORT=str(mailbox.port), SMTP_TLS="none",
            SMTP_USERNAME="me", SMTP_PASSWORD="geheim",
        )  # fmt: skip
        assert mailbox.refused_logins == 1
    assert "refuses SMTP_USERNAME and SMTP_PASSWORD (535): correct them in .env" in errors


def test_a_server_without_starttls_says_so() -> None:
    with smtp_server() as mailbox:
        errors = mail_failure(SMTP_HOST=mailbox.host, SMTP_PORT=str(mailbox.port))
    assert "Set SMTP_TLS to what the server offers" in errors


def test_an_implicit_tls_to_a_plain_server_says_what_to_check() -> None:
    with smtp_server() as mailbox:
        errors = mail_failure(SMTP_HOST=mailbox.host, SMTP_PORT=str(mailbox.port), SMTP_TLS="implicit")
    assert "check SMTP_TLS, SMTP_PORT" in errors


def test_a_mail_server_that_is_not_there_says_what_to_check() -> None:
    errors = mail_failure(SMTP_HOST="127.0.0.1", SMTP_PORT="1")
    assert "cannot reach the mail server 127.0.0.1:1 (Connection refused): check SMTP_HOST" in errors


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"SMTP_TLS": "yes"}, "SMTP_TLS: must be starttls, implicit or none (got 'yes')"),
        ({"SMTP_PORT": "smtp"}, "SMTP_PORT: must be a port from 1 to 65535 (got 'smtp')"),
        ({"SMTP_USERNAME": "me"}, "SMTP_PASSWORD: is needed, since SMTP_USERNAME is set"),
        ({"SMTP_PASSWORD": "geheim", "SMTP_PASSWORD_FILE": "/x"}, "set SMTP_PASSWORD or SMTP_PASSWORD_FILE"),
        ({"SMTP_PASSWORD_FILE": "/nowhere/at/all"}, "cannot read this secret"),
    ],
)
def test_wrong_mail_settings_say_the_mend(environ: dict[str, str], said: str) -> None:
    assert said in mail_failure(SMTP_HOST="127.0.0.1", **environ)


def sendmail(folder: Path, script: str) -> str:
    program = folder / "sendmail"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return f"{folder}:{os.environ['PATH']}"


def test_without_a_server_the_local_sendmail_takes_the_mail(tmp_path: Path) -> None:
    path = sendmail(tmp_path, f'echo "$@" > {tmp_path}/arguments; cat > {tmp_path}/mail')
    status, _, _ = check("tcp://127.0.0.1:1", "--mail-to=a@example.com", PATH=path)
    assert status == 1
    assert (tmp_path / "arguments").read_text() == "-i -- a@example.com\n"
    assert "Subject: [sitemedic] tcp://127.0.0.1:1 failed" in (tmp_path / "mail").read_text()


def test_a_sendmail_that_fails_is_told_with_its_words(tmp_path: Path) -> None:
    path = sendmail(tmp_path, "cat > /dev/null; echo no queue >&2; exit 75")
    assert "sendmail ended with 75 (no queue); or set SMTP_HOST in .env" in mail_failure(PATH=path)


@pytest.mark.skipif(
    any((Path(folder) / "sendmail").exists() for folder in ("/usr/sbin", "/usr/lib", "/sbin")),
    reason="this machine has a sendmail",
)
def test_without_any_way_to_send_it_says_what_to_set(tmp_path: Path) -> None:
    errors = mail_failure(PATH=str(tmp_path))
    assert "no way to send mail: set SMTP_HOST in .env, or install a local sendmail" in errors


def test_a_certificates_end_is_told_in_days() -> None:
    result = Result(
        True, None, "", 0.0, 0.25, Phases(0.0, 0.01, 0.02, 0.2, 0.0), facts=HTTPFacts(200, 2.0),
        tls=TLSFacts("TLS 1.3", None, 1_760_000_000.0 + 86400 * 12.5),
    )  # fmt: skip
    text = verdicts([("https://a/", result)], SYMBOLS, now=1_760_000_000.0)
    assert "certificate until 2025-10-21 (12 days left)" in text
    late = verdicts([("https://a/", result)], SYMBOLS, now=1_790_000_000.0)
    assert "certificate expired on 2025-10-21" in late


def test_a_terminal_without_ticks_gets_words() -> None:
    assert marks_for("ascii") is WORDS
    assert marks_for(None) is WORDS
    assert marks_for("utf-8") is SYMBOLS
    result = Result(False, Reason.REFUSED, "connection refused", 0.0, 0.1)
    assert verdicts([("tcp://a:1", result)], WORDS) == "FAIL tcp://a:1  refused: connection refused\n"
