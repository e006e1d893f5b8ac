from pathlib import Path

import pytest

from core.faults import ConfigError
from core.sites import Document, load
from stack.alerting import MailTo, default_mail_to, site_mail_to
from stack.parts import PARTS


def read(tmp_path: Path, text: str) -> Document:
    (tmp_path / "sites.yml").write_text(text)
    return load(tmp_path / "sites.yml", PARTS)


def mails(tmp_path: Path, text: str) -> dict[str, MailTo]:
    return {site.name: site_mail_to(site) for site in read(tmp_path, text).sites}


def test_one_address_or_several_and_recovery_goes_to_the_same_ones(tmp_path: Path) -> None:
    found = mails(tmp_path, "sites: [{name: a, url: 'http://x/', email: a@x.example}]")
    assert found["a"] == MailTo(("a@x.example",), ("a@x.example",))


def test_an_app_is_mailed_like_its_site_unless_it_says_otherwise(tmp_path: Path) -> None:
    found = mails(
        tmp_path,
        """
defaults: {email: d@x.example}
sites:
  - {name: other, url: 'http://x/'}
  - name: www
    url: http://x/
    email: [w@x.example, v@x.example]
    apps:
      - {name: api, url: 'http://x/', apps: [{name: deep, url: 'http://x/'}]}
      - {name: own, url: 'http://x/', email: o@x.example, recovery_email: []}
""",
    )
    assert found["other"].down == ("d@x.example",)
    assert found["www"].down == ("w@x.example", "v@x.example")
    assert found["www/api/deep"] == found["www"]
    assert found["www/own"] == MailTo(("o@x.example",), ())


def test_an_empty_list_is_nobody_also_where_defaults_name_recovery_addresses(tmp_path: Path) -> None:
    found = mails(
        tmp_path,
        "defaults: {email: d@x.example, recovery_email: r@x.example}\n"
        "sites: [{name: a, url: 'http://x/', email: []}]",
    )
    assert found["a"] == MailTo((), ())


def test_the_defaults_are_known_for_what_belongs_to_no_site(tmp_path: Path) -> None:
    document = read(tmp_path, "defaults: {email: d@x.example}\nsites: [{name: a, url: 'http://x/'}]")
    assert default_mail_to(document).down == ("d@x.example",)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("email: nobody", "sites[0].email: must be an address such as ops@example.com (got 'nobody')"),
        ("email: 'a@x.example, b@x.example'", "sites[0].email: must be an address"),
        ("email: '{{ 1 }}@x.example'", "sites[0].email: must be an address"),
        ("email: {a: b}", "sites[0].email: must be an address or a list of addresses"),
        ("recovery_email: a@x.example", "sites[0].recovery_email: set email too"),
    ],
)
def test_what_is_no_address_is_told(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, f"sites: [{{name: a, url: 'http://x/', {text}}}]")
    assert fault in str(caught.value)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("scrape_interval: 5m", "alerting.scrape_interval: must be from 100ms to 2m (got 5m)"),
        ("group_interval: 0s", "alerting.group_interval: must be above zero"),
        (
            "group_interval: 5m, repeat_interval: 1m",
            "repeat_interval must not be below group_interval (got 1m, group_interval 5m)",
        ),
        ("scrape_intervall: 5s", "unknown key (did you mean 'scrape_interval'?)"),
    ],
)
def test_a_pace_that_cannot_be_is_told(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, f"alerting: {{{text}}}\nsites: [{{name: a, url: 'http://x/'}}]")
    assert fault in str(caught.value)
