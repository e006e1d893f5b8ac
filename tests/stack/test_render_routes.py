"""Who is told what: amtool asks the rendered routes."""

import subprocess
from pathlib import Path

import pytest

from tests.rendering import MAIL, Output, rendered_from
from tests.routing import every_route, matches, taken

pytestmark = pytest.mark.needs("amtool")

COMPANY = """
defaults: {email: ops@acme.example}
sites:
  - {name: plain, url: "http://127.0.0.1:1/"}
  - name: www
    url: http://127.0.0.1:2/
    email: web@acme.example
    apps:
      - {name: api, url: "http://127.0.0.1:3/"}
      - {name: a+b.* (old), url: "http://127.0.0.1:4/", email: dba@acme.example, recovery_email: []}
      - {name: common, url: "http://127.0.0.1:5/", email: ops@acme.example}
  - {name: 'www|x', url: "http://127.0.0.1:6/", email: x@acme.example}
  - {name: quiet, url: "http://127.0.0.1:7/", email: []}
"""


def receivers(output: Output, **labels: str) -> list[str]:
    """Return who is told, as amtool says: `remediator`, or the addresses of a mail."""
    done = subprocess.run(
        ["amtool", "config", "routes", "test", f"--config.file={output.rendered.alertmanager}"]
        + [f"{name}={value}" for name, value in labels.items()],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    names = done.stdout.splitlines()[0].split(",")
    return [_shown(output, name.strip()) for name in names]


def _shown(output: Output, name: str) -> str:
    emails = output.receiver(name).get("email_configs")
    return emails[0]["to"] if emails else name


def down(output: Output, site: str) -> list[str]:
    return receivers(output, alertname="SiteDown", site=site, part_of=site.split("/")[0])


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Output:
    return rendered_from(tmp_path_factory.mktemp("company"), COMPANY)


@pytest.mark.parametrize(
    ("site", "address"),
    [
        ("plain", "ops@acme.example"),
        ("www", "web@acme.example"),
        ("www/api", "web@acme.example"),
        ("www/a+b.* (old)", "dba@acme.example"),
        ("www/aab.xx (old)", "web@acme.example"),
        ("www/common", "ops@acme.example"),
        ("www|x", "x@acme.example"),
        ("x", "ops@acme.example"),
        ("quiet", "nobody"),
        ("not in the file", "ops@acme.example"),
    ],
)
def test_a_site_that_is_down_reaches_the_remediator_and_its_own_people(
    company: Output, site: str, address: str
) -> None:
    assert down(company, site) == ["remediator", address]


@pytest.mark.parametrize("alertname", ["SiteSlow", "SiteCertificateExpiring", "SiteNeedsHuman"])
def test_other_alerts_about_a_site_reach_its_people_and_not_the_remediator(
    company: Output, alertname: str
) -> None:
    assert receivers(company, alertname=alertname, site="www/api", part_of="www") == ["web@acme.example"]


def test_what_else_there_is_about_the_sites_of_several_people_is_a_mail_for_each_set_of_addresses(
    tmp_path: Path,
) -> None:
    output = rendered_from(tmp_path, SERVER)
    for alertname in ("SiteSlow", "SiteFlapping", "SiteErrorBudgetBurn", "SiteCertificateExpiring"):
        assert set(groups(output, alertname, "a b c d e f elsewhere")) == {"aef", "bcelsewhere", "d"}
    stale = {"alertname": "ExporterStale", "site": "b", "severity": "critical"}
    assert _shown(output, taken(output, stale)[0]["receiver"]) == "ops@acme.example"


@pytest.mark.parametrize("alertname", ["ExporterDown", "RemediatorDown", "RemediationFailing"])
def test_alerts_about_sitemedic_reach_the_default_people(company: Output, alertname: str) -> None:
    assert receivers(company, alertname=alertname) == ["ops@acme.example"]


def test_a_stale_site_is_the_operators_business(company: Output) -> None:
    assert receivers(company, alertname="ExporterStale", site="www") == ["ops@acme.example"]


def test_the_watchdog_reaches_nobody(company: Output) -> None:
    assert receivers(company, alertname="Watchdog") == ["nobody"]


def test_without_mail_the_remediator_is_still_told(tmp_path: Path) -> None:
    assert down(rendered_from(tmp_path, COMPANY, {}), "www") == ["remediator", "nobody"]


def test_without_default_people_a_sites_own_are_still_told(tmp_path: Path) -> None:
    output = rendered_from(tmp_path, "sites: [{name: a, url: 'http://x/', email: a@x.example}]")
    assert down(output, "a") == ["remediator", "a@x.example"]
    assert receivers(output, alertname="ExporterDown") == ["nobody"]


def test_names_from_target_files_with_quotes_and_backslashes_find_their_people(tmp_path: Path) -> None:
    (tmp_path / "targets.yml").write_text(
        r"""[{targets: ['http://x/'], labels: {site: 'a "b\c"', email: q@x.example}}]"""
    )
    output = rendered_from(tmp_path, "site_files: [targets.yml]")
    name = output.document.sites[0].name
    assert receivers(output, alertname="SiteDown", part_of=_quoted(name)) == ["remediator", "q@x.example"]


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def test_a_thousand_sites_that_share_addresses_share_receivers(tmp_path: Path) -> None:
    sites = "\n".join(
        f"  - {{name: s{number}, url: 'http://127.0.0.1:1/', email: [team-{number % 3}@acme.example]}}"
        for number in range(1200)
    )
    output = rendered_from(tmp_path, f"defaults: {{email: ops@acme.example}}\nsites:\n{sites}")
    # Nobody and the remediator; then of each set of addresses one, and one that tells of no end.
    assert len(output.alertmanager["receivers"]) == 2 + 2 * (1 + 3)
    assert down(output, "s1199") == ["remediator", "team-2@acme.example"]


def test_a_thousand_sites_of_the_default_people_need_no_route_of_their_own(tmp_path: Path) -> None:
    sites = "\n".join(f"  - {{name: s{number}, url: 'http://127.0.0.1:1/'}}" for number in range(1200))
    output = rendered_from(tmp_path, f"defaults: {{email: ops@acme.example}}\nsites:\n{sites}")
    assert len(list(every_route(output))) < 18


def test_editing_one_site_changes_no_route_or_receiver_of_another(tmp_path: Path) -> None:
    before = rendered_from(tmp_path / "before", COMPANY)
    after = rendered_from(
        tmp_path / "after", COMPANY + "  - {name: new, url: 'http://x/', email: new@acme.example}\n"
    )
    more = set(every_route(after)) - set(every_route(before))
    assert not set(every_route(before)) - set(every_route(after))
    assert more
    assert all('part_of="new"' in str(route) for route in more)


def test_an_edit_among_sites_with_the_same_addresses_changes_only_what_they_are_told_together(
    tmp_path: Path,
) -> None:
    team = "\n".join(f"  - {{name: t{number}, url: 'http://x/', email: t@x.example}}" for number in range(3))
    before, after = (
        rendered_from(tmp_path / name, f"sites:\n{team}\n{more}")
        for name, more in (("before", ""), ("after", "  - {name: t3, url: 'http://x/', email: t@x.example}"))
    )
    changed = set(every_route(before)) - set(every_route(after))
    assert changed
    assert all("t0|t1|t2" in str(route) for route in changed)
    outages = [route for route in every_route(before) if 'part_of="t0"' in str(route)]
    assert outages
    assert all("SiteDown" in str(route) for route in outages)


def test_no_rule_can_silence_a_site_that_is_down(company: Output) -> None:
    rules = company.alertmanager["inhibit_rules"]
    assert rules
    for rule in rules:
        names = [matcher for matcher in rule["target_matchers"] if matcher.startswith("alertname=")]
        assert not any(matches(name, {"alertname": "SiteDown"}) for name in names), rule
        assert names, rule


LABELS = [
    {**site, **outage, **severity}
    for site in (
        {"site": "plain", "part_of": "plain", "server": "web-1"},
        {"site": "www/api", "part_of": "www"},
        {"site": "quiet", "part_of": "quiet"},
        {"site": "not in the file"},
        {},
    )
    for outage in ({}, {"outage": "most-sites"}, {"outage": "server:web-1"}, {"outage": "site:www"})
    for severity in ({"severity": "critical"}, {"severity": "warning"}, {"severity": "none"}, {})
]


def test_every_site_that_is_down_reaches_the_remediator_by_itself_and_at_once(company: Output) -> None:
    for labels in LABELS:
        webhook = taken(company, {"alertname": "SiteDown", **labels})[0]
        assert webhook["receiver"] == "remediator"
        assert webhook["group_by"] == ["alertname", "site"]
        assert webhook["group_wait"] == "0s"


def test_amtool_finds_the_same_receivers(company: Output) -> None:
    for labels in LABELS[::5]:
        alert = {"alertname": "SiteDown", **labels}
        found = [_shown(company, route["receiver"]) for route in taken(company, alert)]
        assert receivers(company, **alert) == found
        assert found[0] == "remediator"


PATIENCE = """
alerting:
  critical: {group_wait: 1s, group_interval: 2s, repeat_interval: 3s}
  warning: {group_wait: 4s, group_interval: 5s, repeat_interval: 6s}
  shared_wait: 7s
  healing_time: 8s
"""


def mailed(output: Output, **labels: str) -> tuple[str, list[str], str, str]:
    """Return whom the last route mails, its groups, its wait and its repeats."""
    route = taken(output, labels)[-1]
    receiver = _shown(output, route["receiver"])
    return receiver, route["group_by"], route["group_wait"], route["repeat_interval"]


@pytest.mark.parametrize("site", ["plain", "www/api", "x"])
def test_each_severity_has_its_patience(tmp_path: Path, site: str) -> None:
    output = rendered_from(tmp_path, PATIENCE + COMPANY)
    about = {"site": site, "part_of": site.split("/")[0]}
    people = "web@acme.example" if site == "www/api" else "ops@acme.example"
    alone = {"alertname": "SiteDown", "outage": f"site:{about['part_of']}", **about}
    assert mailed(output, **alone, severity="critical") == (people, ["outage", "part_of"], "1s", "3s")
    assert mailed(output, **alone, severity="warning") == (people, ["outage", "part_of"], "4s", "6s")
    other = {"alertname": "SiteCertificateExpiring", **about}
    assert mailed(output, **other, severity="critical") == (people, ["alertname"], "1s", "3s")
    assert mailed(output, **other, severity="warning") == (people, ["alertname"], "4s", "6s")
    human = {"alertname": "SiteNeedsHuman", "server": "web-1", "severity": "critical", **about}
    assert mailed(output, **human) == (people, ["alertname", "server", "outage"], "1s", "3s")


@pytest.mark.parametrize("outage", ["server:web-1", "most-sites"])
@pytest.mark.parametrize("severity", ["critical", "warning"])
def test_what_breaks_many_is_one_group_whatever_their_severities(
    tmp_path: Path, outage: str, severity: str
) -> None:
    output = rendered_from(tmp_path, PATIENCE + COMPANY)
    down = {"alertname": "SiteDown", "site": "plain", "part_of": "plain", "severity": severity}
    assert mailed(output, **down, outage=outage) == ("ops@acme.example", ["outage"], "7s", "3s")


def test_is_it_us_lies_in_the_group_of_the_sites_that_it_is_about(company: Output) -> None:
    most = {"outage": "most-sites", "severity": "critical"}
    down = taken(company, {"alertname": "SiteDown", "site": "plain", "part_of": "plain", **most})
    assert taken(company, {"alertname": "MostSitesDown", **most}) == down[-1:]


SERVER = """
servers: {web-1: {docker: local}}
defaults: {email: ops@acme.example}
sites:
  - {name: a, url: "http://x/", recover: {server: web-1, container: a}}
  - {name: b, url: "http://x/", recover: {server: web-1, container: b}, email: team@acme.example}
  - {name: c, url: "http://x/", recover: {server: web-1, container: c}, email: team@acme.example}
  - {name: d, url: "http://x/", recover: {server: web-1, container: d}, email: lone@acme.example}
  - {name: e, url: "http://x/", recover: {server: web-1, container: e}, notify: healing_failed}
  - {name: f, url: "http://x/", recover: {server: web-1, container: f}, notify: healing_failed}
  - {name: elsewhere, url: "http://x/", email: team@acme.example}
"""


def groups(output: Output, alertname: str, sites: str, **labels: str) -> dict[str, list[str]]:
    """Return who is told of these sites in one mail, by the sites' names."""
    found: dict[str, list[str]] = {}
    for site in sites.split():
        alert = {"alertname": alertname, "site": site, "part_of": site, "severity": "critical", **labels}
        route = taken(output, alert)[-1]
        key = str((route, [alert.get(label) for label in route["group_by"]]))
        found.setdefault(key, []).append(site)
    return {"".join(sites): sites for sites in found.values()}


def test_a_dead_server_is_one_mail_for_each_set_of_addresses(tmp_path: Path) -> None:
    output = rendered_from(tmp_path, SERVER)
    dead = {"server": "web-1", "outage": "server:web-1"}
    assert set(groups(output, "SiteDown", "a b c d e f", **dead)) == {"a", "bc", "d", "ef"}
    assert set(groups(output, "SiteNeedsHuman", "a b c d e f", **dead)) == {"aef", "bc", "d"}


def test_most_sites_and_lost_mails_are_one_mail_for_each_set_of_addresses_and_nobody_waits(
    tmp_path: Path,
) -> None:
    output = rendered_from(tmp_path, SERVER)
    every = "a b c d e f elsewhere"
    assert set(groups(output, "SiteDown", every, outage="most-sites")) == {"aef", "bcelsewhere", "d"}
    assert set(groups(output, "SiteOutageUntold", every)) == {"aef", "bcelsewhere", "d"}


def test_a_mail_about_lost_mails_has_no_end(tmp_path: Path) -> None:
    output = rendered_from(tmp_path, SERVER)
    untold = {"alertname": "SiteOutageUntold", "severity": "info", "part_of": "b"}
    for site in ("a", "b", "d"):
        route = taken(output, {**untold, "site": site, "part_of": site})[-1]
        assert output.receiver(route["receiver"])["email_configs"][0]["send_resolved"] is False
        assert route["group_wait"] == "30s"
        assert route["group_by"] == ["alertname"]


def test_lost_mails_are_told_while_they_are_posted_however_patient_warnings_are(tmp_path: Path) -> None:
    patient = "alerting: {warning: {group_wait: 1h, group_interval: 2h}}"
    untold = {"alertname": "SiteOutageUntold", "severity": "info", "site": "a", "part_of": "a"}
    route = taken(rendered_from(tmp_path, patient + SERVER), untold)[-1]
    assert (route["group_wait"], route["group_interval"]) == ("30s", "5m")


def test_who_waits_for_healing_is_mailed_late_about_the_outage_and_at_once_about_all_else(
    tmp_path: Path,
) -> None:
    output = rendered_from(tmp_path, SERVER)
    for outage in ("site:e", "server:web-1"):
        down = {
            "alertname": "SiteDown",
            "site": "e",
            "part_of": "e",
            "outage": outage,
            "severity": "critical",
        }
        assert taken(output, down)[0]["group_wait"] == "0s"
        assert taken(output, down)[-1]["group_wait"] == "15m"
        assert taken(output, {**down, "site": "a", "part_of": "a"})[-1]["group_wait"] != "15m"
    human = {"alertname": "SiteNeedsHuman", "site": "e", "part_of": "e", "severity": "critical"}
    assert taken(output, human)[-1]["group_wait"] == "20s"


def test_where_all_wait_by_default_only_what_is_healed_does(tmp_path: Path) -> None:
    text = SERVER.replace("defaults: {", "defaults: {notify: healing_failed, ")
    output = rendered_from(tmp_path, f"{text}  - {{name: bare, url: 'http://x/'}}\n")

    def wait(**labels: str) -> str:
        found = taken(output, {"alertname": "SiteDown", "severity": "critical", **labels})[-1]["group_wait"]
        return str(found)

    assert wait(site="a", part_of="a", outage="site:a") == "15m"
    assert wait(site="b", part_of="b", outage="server:web-1") == "15m"
    assert wait(site="bare", part_of="bare", outage="site:bare") == "20s"
    assert wait(site="a", part_of="a", outage="most-sites") == "45s"
    assert wait(alertname="MostSitesDown", outage="most-sites") == "45s"


def test_the_chat_hears_all_that_is_mailed_in_the_same_groups_and_the_pager_what_is_critical(
    tmp_path: Path,
) -> None:
    everything = {
        **MAIL,
        "SLACK_WEBHOOK_URL": "https://hooks.slack.example/services/T/B/x",
        "PAGERDUTY_ROUTING_KEY": "0123456789abcdef0123456789abcdef",
    }
    output = rendered_from(tmp_path, SERVER, everything)
    for site in ("a", "e", "elsewhere"):
        for severity in ("critical", "warning"):
            alert = {"alertname": "SiteDown", "site": site, "part_of": site, "outage": f"site:{site}"}
            webhook, *people, mail = taken(output, {**alert, "severity": severity})
            assert webhook["receiver"] == "remediator"
            told = ["chat", "pager"] if severity == "critical" else ["chat"]
            assert [route.pop("receiver") for route in people] == told
            mail.pop("receiver")
            assert people == [mail] * len(people)
    assert len(taken(output, {"alertname": "SiteOutageUntold", "site": "a", "severity": "info"})) == 1
    assert [route["receiver"] for route in taken(output, {"alertname": "Watchdog"})] == ["nobody"]


HEALING = {"alertname": "SiteHealing", "site": "a", "part_of": "a", "server": "web-1", "outage": "site:a"}
STAGES = {
    "started": "info", "approval": "critical", "failed": "warning", "held": "info", "held_long": "warning",
    "recovered": "info",
}  # fmt: skip


def healing(output: Output, stage: str, **labels: str) -> list[dict[str, object]]:
    return taken(output, {**HEALING, "stage": stage, "severity": STAGES[stage], **labels})


@pytest.mark.parametrize(
    ("setting", "mailed_stages"),
    [
        ("", {"approval", "failed", "held_long"}),
        ("alerting: {healing_mails: important}", {"approval", "failed", "held_long"}),
        ("alerting: {healing_mails: all}", set(STAGES)),
        ("alerting: {healing_mails: none}", set()),
    ],
)
def test_of_healing_that_is_mailed_which_healing_mails_says(
    tmp_path: Path, setting: str, mailed_stages: set[str]
) -> None:
    output = rendered_from(tmp_path, setting + SERVER)
    reached = {stage for stage in STAGES if healing(output, stage)[-1]["receiver"] != "nobody"}
    assert reached == mailed_stages


def test_a_question_is_told_at_once_and_apart_and_no_end_of_healing_is_told(tmp_path: Path) -> None:
    output = rendered_from(tmp_path, SERVER, {**MAIL, "WEBHOOK_URL": "http://127.0.0.1:1/"})
    chat, mail = healing(output, "approval")
    assert (mail["group_wait"], mail["group_interval"]) == ("20s", "1m")
    assert mail["group_by"] == ["alertname", "server", "outage"]
    for route, integration in ((chat, "webhook_configs"), (mail, "email_configs")):
        for config in output.receiver(str(route["receiver"]))[integration]:
            assert config["send_resolved"] is False
    about = [str(one) for one in every_route(output) if "SiteHealing" in str(one)]
    assert len([one for one in about if "approval" in one and "nobody" not in one]) >= 2


def test_the_pager_hears_of_a_question_and_of_its_end(tmp_path: Path) -> None:
    environ = {**MAIL, "PAGERDUTY_ROUTING_KEY": "0123456789abcdef0123456789abcdef"}
    output = rendered_from(tmp_path, SERVER, environ)
    assert healing(output, "approval")[0]["receiver"] == "pager"
    assert len(healing(output, "failed")) == 1
    assert output.receiver("pager")["pagerduty_configs"][0]["send_resolved"] is True


def test_who_waits_for_healing_is_asked_all_the_same_and_told_nothing_else_of_it(tmp_path: Path) -> None:
    output = rendered_from(tmp_path, "alerting: {healing_mails: all}" + SERVER)
    patient = {"site": "e", "part_of": "e", "outage": "site:e"}
    reached = {stage for stage in STAGES if healing(output, stage, **patient)[-1]["receiver"] != "nobody"}
    assert reached == {"approval"}
    assert healing(output, "failed")[-1]["receiver"] != "nobody"


def test_that_healing_is_suspended_lies_in_the_group_of_most_sites(company: Output) -> None:
    suspended = {"alertname": "HealingSuspended", "severity": "critical", "outage": "most-sites"}
    most = {"alertname": "MostSitesDown", "severity": "critical", "outage": "most-sites"}
    assert taken(company, suspended) == taken(company, most)
    assert mailed(company, **suspended)[0] == "ops@acme.example"


def test_receivers_show_no_address_in_their_names(company: Output) -> None:
    assert not any("@" in receiver["name"] for receiver in company.alertmanager["receivers"])
    assert MAIL["SMTP_FROM"] == company.alertmanager["global"]["smtp_from"]
