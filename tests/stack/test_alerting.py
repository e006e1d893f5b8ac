import math
from pathlib import Path

import pytest

from core.faults import ConfigError
from core.sites import Document, load
from exporter.configuration import default_timeout
from exporter.site_options import SiteOptions
from stack.alerting import AlertingTop, MailTo, default_mail_to, site_mail_to, waits_for_healing
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


def test_times_that_are_not_set_keep_their_defaults(tmp_path: Path) -> None:
    document = read(
        tmp_path, "alerting: {critical: {repeat_interval: 1h}}\nsites: [{name: a, url: 'http://x/'}]"
    )
    alerting = document.top(AlertingTop).alerting
    assert (alerting.critical.group_wait, alerting.critical.repeat_interval) == (20.0, 3600.0)
    assert alerting.warning.repeat_interval == 86400.0


def test_the_waits_are_long_enough_for_what_breaks_together_with_the_default_settings(tmp_path: Path) -> None:
    document = read(tmp_path, "sites: [{name: a, url: 'http://x/'}]")
    alerting, site = document.top(AlertingTop).alerting, document.sites[0].part(SiteOptions)
    # From the first failed probe of the first site to that of the last, in evaluations of the rules.
    apart = site.interval + default_timeout(site.interval)
    evaluations = math.ceil(apart / alerting.scrape_interval)
    assert alerting.shared_wait > evaluations * alerting.scrape_interval + 10
    assert alerting.critical.group_wait > alerting.scrape_interval


def test_only_who_is_healed_by_itself_waits_for_healing(tmp_path: Path) -> None:
    document = read(
        tmp_path,
        """
defaults: {notify: healing_failed}
servers: {here: {docker: local}}
sites:
  - {name: healed, url: 'http://x/', recover: {server: here, container: a}}
  - name: at-once
    url: http://x/
    notify: down
    recover: {server: here, container: b}
    apps:
      - {name: as-above, url: 'http://x/', recover: {server: here, container: c}}
      - {name: own, url: 'http://x/', notify: healing_failed, recover: {server: here, container: d}}
  - {name: watched, url: 'http://x/'}
  - {name: observed, url: 'http://x/', recover: {server: here, container: e, mode: observe}}
""",
    )
    waiting = {site.name for site in document.sites if waits_for_healing(document, site)}
    assert waiting == {"healed", "at-once/own"}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("notify: never", "sites[0].notify: should be 'down' or 'healing_failed' (got 'never')"),
        ("email: nobody", "sites[0].email: must be an address such as ops@example.com (got 'nobody')"),
        ("email: 'a@x.example, b@x.example'", "such as ops@example.com, several in a list: [a@"),
        ("email: 'A <a@x.example>'", "must be an address such as ops@example.com, without a name (got"),
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
        ("critical: {group_interval: 0s}", "alerting.critical.group_interval: must be above zero"),
        (
            "warning: {group_interval: 5m, repeat_interval: 1m}",
            "alerting.warning: repeat_interval must not be below group_interval (got 1m, group_interval 5m)",
        ),
        (
            "warning: {repeat_interval: 30d}",
            "alerting.warning.repeat_interval: must not be above 5d: Alertmanager forgets by then",
        ),
        (
            "shared_wait: 10s",
            "alerting: shared_wait must not be below critical.group_wait (got 10s, critical.group_wait 20s)",
        ),
        (
            "healing_time: 10s",
            "alerting: healing_time must not be below shared_wait (got 10s, shared_wait 45s)",
        ),
        ("group_wait: 5s", "alerting.group_wait: unknown key (known here: container_wait, critical,"),
        ("critical: {group_weight: 5s}", "alerting.critical.group_weight: unknown key (did you mean"),
        ("scrape_intervall: 5s", "unknown key (did you mean 'scrape_interval'?)"),
    ],
)
def test_a_pace_that_cannot_be_is_told(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, f"alerting: {{{text}}}\nsites: [{{name: a, url: 'http://x/'}}]")
    assert fault in str(caught.value)
