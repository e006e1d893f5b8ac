"""`init`: what it writes, with and without somebody to ask."""

import json
import os
import pty
import select
import stat
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from core.environment import env_file
from core.secrets import Secret
from core.sites import load
from exporter.site_options import SiteOptions, TopOptions
from remediator.configuration.schema import targets
from stack.alerting import site_mail_to
from stack.configure.answers import Answers, Mail, name_of, whole_url
from stack.configure.beginning import env_text
from stack.configure.init_cli import init_command
from stack.errors import StackError
from stack.parts import PARTS
from stack.settings import load_settings
from tests.compose.running import BINARY
from tests.exporter.running import ROOT, Site, site


@pytest.fixture
def shop() -> Iterator[Site]:
    with site() as found:
        yield found


@pytest.fixture(autouse=True)
def _no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SMTP_PASSWORD", raising=False)


MAIL = ("--smtp=mail.example.com", "--smtp-from=medic@example.com")


def init(folder: Path, *words: str) -> Result:
    return CliRunner().invoke(init_command, [*words, "--dir", str(folder)])


def test_one_address_is_enough(tmp_path: Path, shop: Site) -> None:
    done = init(tmp_path, shop.url)
    assert done.exit_code == 0, done.output
    assert f"{shop.url.rstrip('/')}/  200 in" in done.output
    assert "./sitemedic up" in done.output
    document = load(tmp_path / "sites.yml", PARTS)
    assert [one.part(SiteOptions).url for one in document.sites] == [shop.url]
    assert targets(document) == {}
    assert load_settings(values(tmp_path), tmp_path / "data").smtp is None


def values(folder: Path) -> dict[str, str]:
    return env_file(folder / ".env")


def test_options_answer_everything(tmp_path: Path, shop: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMTP_PASSWORD", 'it\'s a \\ "secret" $x #1')
    done = init(
        tmp_path, shop.url, "--name=Bücher & Co", "--email=me@example.com", "--smtp=mail.example.com:2525",
        "--smtp-username=me", "--smtp-from=medic@example.com", "--ssh=medic@203.0.113.7:2222",
        "--container=nginx", "--linode=123", "--may-reboot", "--canary=https://a.example.org/",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "secret" not in done.output
    assert "./sitemedic server setup web " in done.output
    document = load(tmp_path / "sites.yml", PARTS)
    only = document.sites[0]
    assert only.name == "Bücher & Co"
    assert site_mail_to(only).down == ("me@example.com",)
    target = targets(document)[only.name]
    assert (target.container, target.server.linode, target.server.may_reboot) == ("nginx", 123, True)
    assert target.server.ssh is not None
    assert (target.server.ssh.user, target.server.ssh.port) == ("medic", 2222)
    assert document.top(TopOptions).canaries == ("https://a.example.org/",)
    assert "remediation: {mode: observe}" in (tmp_path / "sites.yml").read_text()
    smtp = load_settings(values(tmp_path), tmp_path / "data").smtp
    assert smtp is not None
    assert smtp.password is not None
    assert smtp.password.reveal() == 'it\'s a \\ "secret" $x #1'
    assert (smtp.server.host, smtp.server.port, smtp.sender) == (
        "mail.example.com",
        2525,
        "medic@example.com",
    )
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600


def test_gmail_needs_the_address_and_the_app_password_as_google_shows_it(
    tmp_path: Path, shop: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMTP_PASSWORD", "abcd efgh ijkl mnop")
    assert init(tmp_path, shop.url, "--email=me@gmail.com", "--smtp=gmail").exit_code == 0
    smtp = load_settings(values(tmp_path), tmp_path / "data").smtp
    assert smtp is not None
    assert smtp.password is not None
    assert (smtp.server.address, smtp.username, smtp.sender, smtp.password.reveal()) == (
        "smtp.gmail.com:587",
        "me@gmail.com",
        "me@gmail.com",
        "abcdefghijklmnop",
    )


def test_nothing_of_the_users_is_overwritten(tmp_path: Path, shop: Site) -> None:
    (tmp_path / ".env").write_text("MINE=1\n")
    assert init(tmp_path, shop.url).exit_code == 0
    assert (tmp_path / ".env").read_text() == "MINE=1\n"
    before = (tmp_path / "sites.yml").read_text()
    refused = init(tmp_path, "https://other.example.com/")
    assert isinstance(refused.exception, StackError)
    assert "is there already" in str(refused.exception)
    assert (tmp_path / "sites.yml").read_text() == before
    assert init(tmp_path, "tcp://127.0.0.1:9", "--force").exit_code == 0
    assert "tcp://127.0.0.1:9" in (tmp_path / "sites.yml").read_text()
    assert "MINE" not in (tmp_path / ".env").read_text()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "which site?"),
        (("ftp://x/",), "must begin with one of http://, https://"),
        (("http://127.0.0.1:9/", "--email=nobody"), "must be an address such as ops@example.com"),
        (("http://127.0.0.1:9/", "--container=x"), "need --ssh"),
        (("http://127.0.0.1:9/", "--ssh=a@b"), "--ssh needs --container"),
        (("http://127.0.0.1:9/", "--ssh=a@b", "--container=x", "--may-reboot"), "may_reboot needs linode"),
        (("http://127.0.0.1:9/", "--smtp=mail:x"), "--smtp: must be gmail, ses, host:port"),
        (("http://127.0.0.1:9/", "--smtp=mail.example.com"), "--smtp-from"),
        (("",), "is not a URL"),
        (("ftp://me:hunter2@x/",), "must begin with one of http://, https://"),
        (("https://me:hunter2@x y/",), "holds a blank"),
        (("http://127.0.0.1:9/", *MAIL, "--smtp=:25"), "--smtp: must be gmail"),
        (("http://127.0.0.1:9/", *MAIL, "--smtp=mail.example.com:99999"), "--smtp: must be gmail"),
        (("http://127.0.0.1:9/", *MAIL, "--smtp=http://mail.example.com/"), "--smtp: must be gmail"),
        (("http://127.0.0.1:9/", *MAIL, "--smtp-from=nonsense"), "SMTP_FROM: must be one address"),
        (("http://127.0.0.1:9/", *MAIL, "--smtp-username=me", "--smtp-password-file=no"), "No such file"),
        (("http://127.0.0.1:9/", "--canary=nonsense"), "canaries[0]: needs its protocol"),
    ],
)
def test_a_wrong_answer_writes_nothing(tmp_path: Path, words: Sequence[str], told: str) -> None:
    refused = init(tmp_path, *words)
    assert isinstance(refused.exception, StackError), refused.output
    assert told in str(refused.exception)
    assert "hunter" not in str(refused.exception) + refused.output
    assert list(tmp_path.iterdir()) == []


PASSWORDS = [
    "a$b", "${HOME}", "a #b", "it's", "'", '"', "a\\b", "\\", "a\\", "\\'", '\\"', "\\n", " both ", "`id`",
    "ü€", "'a'", '"a"', "a\tb", "a=b;c|d<e>", "{{x}}", "#",
]  # fmt: skip


def test_docker_compose_reads_a_password_as_we_do(
    tmp_path: Path, shop: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = []
    for number, password in enumerate(PASSWORDS):
        mail = Mail("mail.example.com", "25", "me", "me@example.com", Secret(password))
        env = env_text(Answers(shop.url, "shop", mail=mail))
        found = next(line for line in env.splitlines() if line.startswith("SMTP_PASSWORD="))
        lines.append(found.replace("SMTP_PASSWORD", f"P{number}"))
    (tmp_path / ".env").write_text("\n".join(lines))
    expected = {f"P{number}": password for number, password in enumerate(PASSWORDS)}
    assert env_file(tmp_path / ".env") == expected
    (tmp_path / "docker-compose.yml").write_text("services: {a: {image: a, env_file: .env}}")
    done = subprocess.run(
        [BINARY, "-f", tmp_path / "docker-compose.yml", "config", "--format=json"],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    read = json.loads(done.stdout)["services"]["a"]["environment"]
    assert {name: value.replace("$$", "$") for name, value in read.items()} == expected


def test_a_password_with_a_lines_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMTP_PASSWORD", "hunter2\nhunter3")
    refused = init(tmp_path, "http://127.0.0.1:9/", *MAIL, "--smtp-username=me")
    assert "holds a control character" in str(refused.exception)
    assert "hunter" not in str(refused.exception)


def test_a_password_that_is_still_missing_is_told(tmp_path: Path, shop: Site) -> None:
    done = init(tmp_path, shop.url, *MAIL, "--smtp-username=me")
    assert done.exit_code == 0, done.output
    assert "write your mail server's password behind SMTP_PASSWORD=" in done.output
    assert "\nSMTP_PASSWORD=\n" in (tmp_path / ".env").read_text()


def test_a_password_file_is_named_from_where_one_stands(
    tmp_path: Path, shop: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("here", "there/keys"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "here" / "pw").write_text("a")
    (tmp_path / "there" / "keys" / "pw").write_text("b")
    monkeypatch.chdir(tmp_path / "here")
    for file, written in (("pw", tmp_path / "here" / "pw"), (tmp_path / "there" / "keys" / "pw", "keys/pw")):
        words = (*MAIL, "--smtp-username=me", f"--smtp-password-file={file}", "--force")
        done = init(tmp_path / "there", shop.url, *words)
        assert done.exit_code == 0, done.exception
        assert values(tmp_path / "there")["SMTP_PASSWORD_FILE"] == str(written)


@pytest.mark.parametrize(
    "url", ["tcp://127.0.0.1:9", "http://me:hunter2@127.0.0.1:9/a?b=c", "http://127.0.0.1:9"]
)
def test_what_is_commented_out_is_right_once_it_is_not(tmp_path: Path, url: str) -> None:
    assert init(tmp_path, url).exit_code == 0
    text = (tmp_path / "sites.yml").read_text()
    assert text.count("hunter2") == url.count("hunter2")
    shown = text.replace("    # apps:\n    #   - ", "    apps:\n      - ").replace("# canaries:", "canaries:")
    (tmp_path / "sites.yml").write_text(shown.replace("    # expect:", "    expect:"))
    assert len(load(tmp_path / "sites.yml", PARTS).sites) == 2


def test_the_canaries_that_were_given_count(tmp_path: Path) -> None:
    assert init(tmp_path, "tcp://127.0.0.1:9", "--canary=tcp://127.0.0.1:8").exit_code == 0
    assert load(tmp_path / "sites.yml", PARTS).top(TopOptions).canaries == ("tcp://127.0.0.1:8",)


def test_at_a_terminal_it_asks_and_the_password_is_not_shown(tmp_path: Path, shop: Site) -> None:
    answers = [
        ("Address of the site", "nonsense://x"),
        ("Address of the site", shop.url),
        ("Name for it", "a/b"),
        ("Name for it", ""),
        ("Who is mailed", "me"),
        ("Who is mailed", "me@example.com"),
        ("Mail server", "mail:port"),
        ("Mail server", "127.0.0.1:25"),
        ("Its user", "me"),
        ("Its password", "hunter2"),
        ("Docker container", "y"),
        ("user@host", ""),
        ("user@host", "medic at home"),
        ("user@host", "medic@203.0.113.7"),
        ("container's name", "two words"),
        ("container's name", "nginx"),
        ("Linode's id", "0"),
        ("Linode's id", ""),
    ]
    shown = conversation([sys.executable, "-m", "stack", "init", "--dir", str(tmp_path)], answers)
    assert "hunter2" not in shown
    assert "must be an address such as ops@example.com (got 'me')" in shown
    document = load(tmp_path / "sites.yml", PARTS)
    assert targets(document)[document.sites[0].name].container == "nginx"
    assert values(tmp_path)["SMTP_PASSWORD"] == "hunter2"


def conversation(command: Sequence[str], answers: Sequence[tuple[str, str]]) -> str:
    """Run a command at a terminal of its own; give each answer once its question stands there."""
    mine, its = pty.openpty()
    process = subprocess.Popen(
        command, stdin=its, stdout=its, stderr=its, cwd=ROOT, env={**os.environ, "TERM": "dumb"}
    )
    os.close(its)
    shown, begin, deadline = "", 0, time.monotonic() + 60
    waiting = list(answers)
    try:
        while time.monotonic() < deadline:
            if waiting and waiting[0][0] in shown[begin:] and shown.rstrip(" ").endswith((":", "]")):
                begin = len(shown)
                os.write(mine, waiting.pop(0)[1].encode() + b"\n")
            if select.select([mine], [], [], 0.2)[0]:
                try:
                    shown += os.read(mine, 65536).decode(errors="replace")
                except OSError:  # the other end is closed: it has ended
                    break
        assert process.wait(10) == 0, shown
        assert not waiting, shown
        return shown
    finally:
        process.kill()
        process.wait(5)
        os.close(mine)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://www.shop.example.com/x", "shop"),
        ("https://my.site", "my"),
        ("http://127.0.0.1:8080/", "127.0.0.1"),
        ("http://[::1]:8080/", "::1"),
        ("tcp://db:5432", "db"),
        ("https://cafe.de/", "cafe"),
        ("https://bücher.example/", "bücher"),
    ],
)
def test_a_name_comes_from_the_address(url: str, name: str) -> None:
    assert name_of(url) == name


def test_an_address_may_be_written_as_one_says_it() -> None:
    assert whole_url(" my.site ") == "https://my.site/"
    assert whole_url("my.site/health") == "https://my.site/health"
    assert whole_url("my.site?a=b") == "https://my.site/?a=b"
    assert whole_url("tcp://db:5432") == "tcp://db:5432"
    with pytest.raises(ValueError, match="must begin with"):
        whole_url("ftp://x")
