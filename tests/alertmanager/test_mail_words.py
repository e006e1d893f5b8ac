"""What mails say: subjects, bodies, links and threads, from a real Alertmanager into a real SMTP server."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest
import yaml

from tests.mailing import Alert, Mailing, alert, links, mailing, over, tags
from tests.smtp_server import Mail

pytestmark = pytest.mark.needs("prometheus-alertmanager")

PROMETHEUS = Path(__file__).parents[2] / "prometheus"
ADDRESSES = {
    "PUBLIC_URL": "https://status.acme.example/medic",
    "GRAFANA_URL": "https://grafana.acme.example",
    "ALERTMANAGER_URL": "https://alerts.acme.example",
}
SINCE = "2026-01-02 03:04:05 UTC"
BEGAN = datetime(2026, 1, 2, 3, 4, 40, tzinfo=UTC)
ODD = 'Großküche "Süd"\\{{ .Status }} <b>&amp; 100%+1'

HEADERS = {
    *("from", "to", "subject", "auto-submitted", "references", "in-reply-to", "message-id", "date"),
    *("content-type", "mime-version"),
}
TAGS = {
    *("html", "head", "meta", "title", "body", "div", "p", "h1", "table", "tbody", "tr", "td", "a", "b"),
    *("br", "span", "pre"),
}


@pytest.fixture(scope="module")
def mails(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mailing]:
    with mailing(tmp_path_factory.mktemp("mails"), ADDRESSES) as found:
        yield found


@pytest.fixture
def group(request: pytest.FixtureRequest) -> str:
    name = request.node.name
    assert isinstance(name, str)
    return name


def down(site: str, what: str = "answered 500", outage: str = "", **more: Any) -> Alert:
    labels = {"outage": outage or f"site:{site.split('/')[0]}", "server": "web-1"}
    return alert("SiteDown", site, labels=labels, **{"summary": f"{site}: {what}", **more})


def most(**more: str) -> Alert:
    summary = "12 of 14 sites are down: is it us?"
    return alert("MostSitesDown", labels={"outage": "most-sites"}, **{"summary": summary, **more})


def healing(site: str, stage: str, summary: str, **more: str) -> Alert:
    severity = "critical" if stage == "approval" else "warning"
    labels = {"outage": f"site:{site}", "server": "web-1", "incident": "7", "stage": stage, "number": "3"}
    return alert("SiteHealing", site, severity=severity, labels=labels, summary=summary, **more)


def suspended(**more: str) -> Alert:
    summary = "nothing is healed: no canary answers"
    return alert("HealingSuspended", labels={"outage": "most-sites"}, **{"summary": summary, **more})


def container(name: str, site: str | None = None, server: str = "web-1", **more: Any) -> Alert:
    labels = {"server": server, "name": "nginx", **({"outage": f"site:{site}"} if site else {})}
    about = f"{site}: " if site else ""
    return alert(
        name, site, labels=labels, **{"summary": f"{about}container nginx on {server} is so", **more}
    )


def several(names: str, **more: Any) -> list[Alert]:
    return [down(name, **more) for name in names.split()]


@pytest.mark.parametrize(
    ("alerts", "subject"),
    [
        ([down("www")], "[DOWN] www: answered 500"),
        (several("www/api www"), "[DOWN] www, www/api"),
        (several("a b c d e", outage="server:web-1"), "[DOWN] server web-1: 5 sites: a, b, c and 2 more"),
        ([most(), *several("a b c d", outage="most-sites")], "[IS IT US?] 12 of 14 sites are down at once"),
        (several("a", outage="most-sites"), "[IS IT US?] most sites are down at once: a"),
        ([alert("SiteFlapping", "a", summary="a: down 7 times")], "[FLAPPING] a: down 7 times"),
        ([alert("SiteSlow", "a", summary="a: answers slowly")], "[SLOW] a: answers slowly"),
        ([alert("SiteSlow", "a"), alert("SiteSlow", "b")], "[SLOW] a, b"),
        ([alert("SiteCertificateExpiring", "a", summary="a: until")], "[CERTIFICATE] a: until"),
        ([alert("SiteErrorBudgetBurn", "a", summary="a: burns")], "[BUDGET] a: burns"),
        ([alert("SiteNeedsHuman", "a", summary="a needs a human")], "[NEEDS YOU] a needs a human"),
        (
            [alert("SiteNeedsHuman", name, labels={"outage": "most-sites"}) for name in "ab"],
            "[NEEDS YOU] a, b",
        ),
        ([healing("a", "approval", "a: may I reboot web-1?")], "[APPROVE?] a: may I reboot web-1?"),
        ([healing(name, "approval", f"{name}: may I?") for name in "abcd"], "[APPROVE?] a, b, c and 1 more"),
        ([healing("a", "failed", "a: has not helped")], "[HEALING] a: has not helped"),
        ([suspended()], "[SUSPENDED] nothing is healed: no canary answers"),
        (
            [suspended(), most(), *several("a b c d", outage="most-sites")],
            "[IS IT US?] 12 of 14 sites are down at once",
        ),
        (
            [suspended(), *several("a b", outage="most-sites")],
            "[IS IT US?] most sites are down at once: a, b",
        ),
        ([alert("SiteOutageUntold", "a", summary="a was down")], "[MISSED] a was down"),
        (
            [alert("SiteOutageUntold", name) for name in "abcd"],
            "[MISSED] 4 outages that nobody was told of: a, b, c and 1 more",
        ),
        ([container("ContainerDown", "a")], "[CONTAINER DOWN] a: container nginx on web-1 is so"),
        ([container("ContainerUnhealthy", "a")], "[UNHEALTHY] a: container nginx on web-1 is so"),
        ([container("ContainerRestarting")], "[RESTARTING] container nginx on web-1 is so"),
        ([container("ContainerOOMKilled", "a")], "[OUT OF MEMORY] a: container nginx on web-1 is so"),
        ([container("ContainerHighCPU", "a"), container("ContainerHighCPU", "b")], "[CPU] a, b"),
        ([container("ContainerHighMemory"), container("ContainerHighMemory", "b")], "[MEMORY] b, nginx"),
        (
            [alert("DockerUnreachable", labels={"server": name}, summary="-") for name in ("web-1", "web-2")],
            "[DOCKER] web-1, web-2",
        ),
        ([alert("ExporterDown", summary="It does not answer")], "[SITEMEDIC] It does not answer"),
        ([alert("ExporterStale", "a"), alert("ExporterStale", "b")], "[SITEMEDIC] ExporterStale: a, b"),
        ([{"labels": {"alertname": "Bare"}, "annotations": {}}], "[SITEMEDIC] Bare"),
    ],
)
def test_a_subject_says_what_is_the_matter(
    mails: Mailing, group: str, alerts: list[Alert], subject: str
) -> None:
    assert mails.send(group, *alerts).subject == subject


@pytest.mark.parametrize(
    ("alerts", "ended", "subject"),
    [
        (several("www www/api"), 1, "[DOWN] www/api still down, www recovered"),
        (
            several("a b c d e", outage="server:web-1"),
            3,
            "[DOWN] server web-1: d, e still down, 3 recovered",
        ),
        (several("a b c d e", outage="server:web-1"), 5, "[RECOVERED] server web-1: a, b, c and 2 more"),
        ([*several("a b c", outage="most-sites"), most()], 1, "[IS IT US?] b, c still down, a recovered"),
        ([*several("a b", outage="most-sites"), most()], 3, "[RECOVERED] a, b"),
        ([alert("SiteSlow", "a"), alert("SiteSlow", "b", summary="b: slow")], 1, "[SLOW] b: slow"),
        ([down("a"), alert("SiteSlow", "a", summary="a: slow")], 1, "[SLOW] a: slow"),
        ([alert("SiteSlow", "a")], 1, "[RESOLVED] a: no longer slow"),
        ([alert("SiteFlapping", "a")], 1, "[RESOLVED] a: no longer flapping"),
        (
            [alert("SiteCertificateExpiring", "a")],
            1,
            "[RESOLVED] a: this warning of its certificate has ended",  # perhaps for a graver one
        ),
        ([alert("SiteNeedsHuman", "a")], 1, "[RESOLVED] a: needs you no more"),
        ([healing("a", "approval", "a: may I?")], 1, "[RESOLVED] a: not asked any more"),
        ([suspended()], 1, "[RESOLVED] healing goes on"),
        ([suspended(), most(), *several("a b", outage="most-sites")], 4, "[RECOVERED] a, b"),
        (
            [suspended(), most(), *several("a b", outage="most-sites")],
            1,
            "[IS IT US?] 12 of 14 sites are down at once",
        ),
        ([container("ContainerDown", "a")], 1, "[RESOLVED] a: container is up again"),
        ([container("ContainerUnhealthy", "a")], 1, "[RESOLVED] a: container is healthy again"),
        ([container("ContainerRestarting")], 1, "[RESOLVED] nginx: container stays up"),
        ([container("ContainerOOMKilled")], 1, "[RESOLVED] nginx: container was not killed again"),
        ([container("ContainerHighCPU", "a")], 1, "[RESOLVED] a: container uses less CPU"),
        ([container("ContainerHighMemory", "a")], 1, "[RESOLVED] a: container uses less memory"),
        (
            [alert("DockerUnreachable", labels={"server": "web-1"}, summary="-")],
            1,
            "[RESOLVED] web-1: Docker engine answers again",
        ),
        ([alert("ExporterDown", summary="The exporter does not answer")], 1, "[RESOLVED] ExporterDown"),
    ],
)
def test_a_subject_says_what_goes_on_while_anything_does(
    mails: Mailing, group: str, alerts: list[Alert], ended: int, subject: str
) -> None:
    mails.send(group, *alerts)
    assert mails.send(group, *(over(one) for one in alerts[:ended])).subject == subject


def test_a_containers_mail_names_it_and_is_of_its_sites_thread(mails: Mailing, group: str) -> None:
    of_container = mails.send(group, container("ContainerDown", "thread", description="It does not run."))
    of_site = mails.send(f"{group}-site", down("thread"))
    assert re.search(r"Container +nginx\s", of_container.body())
    assert "It does not run." in of_container.body()
    assert of_container.message["References"] == of_site.message["References"]


@pytest.mark.parametrize(
    ("began", "lasted", "subject"),
    [
        (BEGAN, timedelta(minutes=7), "[RECOVERED] www after 7m"),
        (BEGAN + timedelta(minutes=3), timedelta(minutes=57), "[RECOVERED] www after 1h"),
        (BEGAN, timedelta(hours=26, minutes=7), "[RECOVERED] www after 26h7m"),
        (BEGAN, timedelta(seconds=20), "[RECOVERED] www within a minute"),
        # As after a restart of Prometheus: the alert is younger than the outage.
        (BEGAN + timedelta(hours=2), timedelta(minutes=7), "[RECOVERED] www"),
    ],
)
def test_a_recovery_says_how_long_it_took_where_that_is_known(
    mails: Mailing, group: str, began: datetime, lasted: timedelta, subject: str
) -> None:
    mails.send(group, down("www", begins=began, since=SINCE))
    mail = mails.send(group, down("www", begins=began, ends=began + lasted, since=SINCE))
    assert mail.subject == subject
    for body in (mail.body(), mail.body("html")):
        assert SINCE in body
        assert (began + lasted).strftime("%Y-%m-%d %H:%M:%S UTC") in body


@pytest.mark.parametrize(
    "name",
    [
        ODD,
        "=?utf-8?q?=0D=0ABcc:_all=40acme.example?=",
        "new\r\nBcc: all@acme.example\r\n\r\nline",
        "long " * 400,
        "ü" * 400,
        "\u202e\x00\x07",
    ],
)
def test_a_name_can_be_anything_and_stays_on_its_line(mails: Mailing, group: str, name: str) -> None:
    mail = mails.send(group, down(name, since=SINCE), down(f"{name}/app", since=SINCE))
    assert {header.lower() for header in mail.message.keys()} == HEADERS  # noqa: SIM118 - it is no dict
    assert mail.subject.startswith("[DOWN] ")
    assert len(mail.subject) < 200
    assert not re.search(r"[\r\n\x00]", mail.subject)
    assert re.fullmatch(r"<[!-;=?-~]{1,250}@sitemedic>", str(mail.message["References"]))
    assert SINCE in mail.body()
    assert SINCE in mail.body("html")
    assert tags(mail) <= TAGS


def test_both_bodies_tell_everything_that_is_known_of_an_outage(mails: Mailing, group: str) -> None:
    facts = {
        "reason": "status",
        "status_code": "503",
        "latency": "132ms",
        "since": SINCE,
        "healing": "Sitemedic restarts its container on web-1",
    }
    mail = mails.send(group, down("www", **facts))
    for body in (mail.body(), mail.body("html")):
        for piece in (*facts.values(), "https://www.example/", "web-1", "www: answered 500"):
            assert piece in body
        assert not re.search(r"<no value>|&lt;no value|ZgotmplZ|%!", body)
    assert tags(mail) <= TAGS
    assert not re.search(r"\b(src|background|srcset)=|url\(|@import", mail.body("html"))


def test_the_links_lead_to_the_incident_the_dashboard_the_silence_the_runbook_and_the_console(
    mails: Mailing, group: str
) -> None:
    mail = mails.send(group, down("www/api", incident="42"))
    matchers = '{alertname="SiteDown", site="www/api"}'
    assert links(mail) == [
        ("https://www/api.example/", "https://www/api.example/"),
        ("Incident", "https://status.acme.example/medic/incidents/42"),
        ("Dashboard", "https://grafana.acme.example/d/sitemedic-site?var-site=www%2Fapi"),
        ("Silence", f"https://alerts.acme.example/#/silences/new?filter={quote(matchers, safe='')}"),
        ("Runbook", "https://status.acme.example/medic/runbooks/SiteDown"),
        ("Console", "https://status.acme.example/medic/"),
    ]
    said = re.findall(r"^  (\S+) +(http\S+)\r?$", mail.body(), re.MULTILINE)
    assert [("Address", "https://www/api.example/"), *links(mail)[1:]] == said


def test_an_odd_name_is_shown_as_it_is_and_led_to(mails: Mailing, group: str) -> None:
    mail = mails.send(group, down(ODD, incident="42"))
    assert mail.subject == f"[DOWN] {ODD}: answered 500"
    assert f"{ODD}: answered 500" in mail.body()
    found = dict(links(mail))
    assert unquote(found["Dashboard"].partition("var-site=")[2]) == ODD
    silence = unquote(found["Silence"].partition("filter=")[2])
    matchers = re.fullmatch(r'\{alertname="SiteDown", site=("(?:[^"\\]|\\.)*")\}', silence)
    assert matchers is not None
    assert json.loads(matchers[1]) == ODD  # as the silence form reads it
    named = mails.alertmanager.get("/api/v2/alerts", filter=f"site={matchers[1]}").json()
    assert {one["labels"]["site"] for one in named} == {ODD}
    assert found["Silence"] in mail.body()


def test_nothing_that_is_told_is_markup(mails: Mailing, group: str) -> None:
    hostile = '"><script>alert(1)</script><a href="javascript:alert(2)">'
    names = (
        "summary",
        "reason",
        "healing",
        "description",
        "timeline",
        "runbook_url",
        "incident",
        "latency",
        "since",
    )
    told = alert("SiteNeedsHuman", "www", **dict.fromkeys(names, hostile))
    for sent in ((told,), (over(told),), (told, {**told, "labels": {**told["labels"], "site": hostile}})):
        mail = mails.send(group, *sent)
        assert tags(mail) <= TAGS
        assert not {"Incident", "Runbook"} & {word for word, _ in links(mail)}
        assert not [address for _, address in links(mail) if not address.startswith("https://")]


def test_a_question_leads_to_where_it_is_answered_with_what_was_found(mails: Mailing, group: str) -> None:
    asked = healing("www", "approval", "www: may I?", evidence="container exited with code 137", timeline="x")
    mail = mails.send(group, asked)
    assert ("Answer", f"{ADDRESSES['PUBLIC_URL']}/approvals") in links(mail)
    html = mail.body("html")
    assert html.index(">Answer<") < html.index("What happened"), "above what is long"
    assert f"  Answer     {ADDRESSES['PUBLIC_URL']}/approvals" in mail.body()
    for body in (mail.body(), html):
        assert "container exited with code 137" in body
    failed = mails.send(f"{group} failed", healing("www", "failed", "www: failed"))
    assert "Answer" not in [words for words, _ in links(failed)]


def test_in_a_storm_it_is_said_once_that_nothing_is_healed_and_what_to_check(
    mails: Mailing, group: str
) -> None:
    storm = [suspended(description="Nothing is healed: look from elsewhere."), most(description="Is it us?")]
    mail = mails.send(group, *storm, *several("a b c", outage="most-sites"))
    assert shown(mail).count("look from elsewhere.") == 1
    assert shown(mail).count("Is it us?") == 1
    over_now = mails.send(group, over(storm[0]))
    assert "Over by now" in shown(over_now)


def test_who_is_needed_is_told_what_happened(mails: Mailing, group: str) -> None:
    timeline = "03:04:05 UTC  alert\n03:04:09 UTC  restarted <nginx>"
    facts = {"description": "two restarts did not help", "timeline": timeline, "reason": "attempts used up"}
    mail = mails.send(group, alert("SiteNeedsHuman", "www", labels={"incident": "7"}, **facts))
    text = mail.body().replace("\r\n", "\n")
    assert timeline in text
    assert timeline.replace("<nginx>", "&lt;nginx&gt;") in mail.body("html").replace("\r\n", "\n")
    assert all(facts["description"] in body for body in (text, mail.body("html")))
    assert ("Incident", "https://status.acme.example/medic/incidents/7") in links(mail)
    ended = mails.send(group, over(alert("SiteNeedsHuman", "www", labels={"incident": "7"}, **facts)))
    assert not any(facts["description"] in body for body in (ended.body(), ended.body("html")))


def test_a_digest_tells_of_each_outage_from_when_to_when_and_what_was_done(
    mails: Mailing, group: str
) -> None:
    missed = [
        alert(
            "SiteOutageUntold",
            site,
            severity="info",
            labels={"incident": str(number)},
            summary=f"{site}: down from then until then, and nobody could be mailed",
            since=f"2026-01-02 03:0{number}:00 UTC",
            until=f"2026-01-02 03:1{number}:00 UTC",
            reason="timeout",
            description=f"{site} was down and is up again. What Sitemedic did: restarted it.",
        )
        for number, site in enumerate(("shop", "www", "www/api"))
    ]
    mail = mails.send(group, *missed)
    for body in (mail.body(), mail.body("html")):
        for one in missed:
            for name in ("since", "until", "reason", "description"):
                assert one["annotations"][name] in body
    assert [word for word, _ in links(mail)].count("Incident") == 3
    assert "Silence" not in dict(links(mail))


def shown(mail: Mail) -> str:
    """Return the HTML without what only a list of mails shows."""
    return mail.body("html").partition("<h1")[2]


def test_what_is_done_about_all_of_them_is_said_once(mails: Mailing, group: str) -> None:
    same = several("a b c d", outage="server:web-1", healing="Sitemedic reboots web-1")
    assert shown(mails.send(group, *same)).count("Sitemedic reboots web-1") == 1
    other = down("e", outage="server:web-1", healing="Nothing is done")
    html = shown(mails.send(group, other))
    assert (html.count("Sitemedic reboots web-1"), html.count("Nothing is done")) == (4, 1)


def test_a_mail_about_very_many_stays_readable(mails: Mailing, group: str) -> None:
    healing = "Sitemedic will restart its container on web-1 once the guards agree to that"
    names = [f"site-{number:03}" for number in range(200)]
    many = [
        down(name, outage="server:web-1", incident="1", healing=f"{healing} {name}", since=SINCE)
        for name in names
    ]
    mail = mails.send(group, *many)
    assert mail.subject == "[DOWN] server web-1: 200 sites: site-000, site-001, site-002 and 197 more"
    for body in (mail.body(), mail.body("html")):
        assert "… and 170 more" in body
        assert len(body) < 100_000  # Gmail cuts off what is longer


def test_times_are_told_in_utc_wherever_alertmanager_runs(mails: Mailing, group: str) -> None:
    one = alert("Bare", begins=datetime(2026, 1, 2, 23, 30, tzinfo=UTC))
    mail = mails.send(group, one)
    assert "2026-01-02 23:30:00 UTC" in mail.body()
    ended = mails.send(group, {**one, "endsAt": "2026-01-03T06:00:00+05:30"})
    for body in (ended.body(), ended.body("html")):
        assert "2026-01-03 00:30:00 UTC" in body


def thread(mail: Mail) -> str:
    assert mail.message["References"] == mail.message["In-Reply-To"]
    return str(mail.message["References"])


def test_mails_of_one_outage_are_one_thread_whoever_joins_and_leaves(mails: Mailing, group: str) -> None:
    www = down("www", begins=BEGAN)
    api, admin = (
        down(f"www/{name}", begins=BEGAN + timedelta(hours=hour))
        for hour, name in ((1, "api"), (23, "admin"))
    )
    human = alert("SiteNeedsHuman", "www", begins=BEGAN + timedelta(hours=1))
    sent = [
        mails.send(group, www),
        mails.send(group, api),
        mails.send(group, over(www)),
        mails.send(group, admin),
        mails.send(group, over(api), over(admin)),
        mails.send(f"{group} human", human),
    ]
    assert [mail.subject.split("]")[0] for mail in sent] == [
        *("[DOWN", "[DOWN", "[DOWN", "[DOWN", "[RECOVERED", "[NEEDS YOU"),
    ]
    assert {thread(mail) for mail in sent} == {"<site%3Awww.20260102@sitemedic>"}
    assert len({str(mail.message["Message-Id"]) for mail in sent}) == len(sent)


def test_what_is_told_of_healing_is_in_the_thread_of_its_outage_also_past_midnight(
    mails: Mailing, group: str
) -> None:
    began = datetime(2026, 1, 2, 23, 59, 50, tzinfo=UTC)
    first = thread(mails.send(group, down("www", begins=began)))
    later = began + timedelta(minutes=30)
    for stage in ("approval", "failed"):
        told = healing("www", stage, "www", day="20260102")
        told["startsAt"] = later.isoformat()
        assert thread(mails.send(f"{group} {stage}", told)) == first


def test_another_outage_is_another_thread(mails: Mailing, group: str) -> None:
    threads: list[str] = []
    for number, alerts in enumerate(
        (
            [down("www", begins=BEGAN)],
            [down("www", begins=BEGAN + timedelta(days=20))],
            [down("shop", begins=BEGAN)],
            several("www shop", outage="server:web-1", begins=BEGAN),
            several("www shop", outage="most-sites", begins=BEGAN),
            [alert("SiteSlow", "www", begins=BEGAN)],
            [alert("ExporterDown", begins=BEGAN)],
        )
    ):
        found = thread(mails.send(f"{group} {number}", *alerts))
        if found in threads:  # a mail about one of those before, late
            found = thread(mails.mailbox.wait_for(len(mails.mailbox.mails) + 1, 20)[-1])
        threads.append(found)
    assert sorted(set(threads)) == sorted(threads)


def as_the_rules_make_them() -> dict[str, list[Alert]]:
    """Return what promtool's tests hold the rules to: by alert, each with its labels and annotations."""
    found: dict[str, list[Alert]] = {}
    for path in (PROMETHEUS / "tests").glob("*.yml"):
        for test in yaml.safe_load(path.read_text())["tests"]:
            for case in test.get("alert_rule_test", ()):
                for made in case.get("exp_alerts", ()):
                    labels = {"alertname": case["alertname"], **made.get("exp_labels", {})}
                    one = {"labels": labels, "annotations": made.get("exp_annotations", {})}
                    found.setdefault(case["alertname"], []).append(one)
    return found


def test_every_alert_of_the_rules_makes_a_whole_mail(mails: Mailing, group: str) -> None:
    made = as_the_rules_make_them()
    rules = [
        rule["alert"]
        for path in (PROMETHEUS / "rules").glob("*.yml")
        for section in yaml.safe_load(path.read_text())["groups"]
        for rule in section["rules"]
        if "alert" in rule
    ]
    assert sorted(made) == sorted(set(rules))
    for name in sorted(made):
        # The richest and the poorest of its kind.
        kinds = sorted(made[name], key=lambda one: sum(map(bool, one["annotations"].values())))
        for number, one in enumerate({id(kind): kind for kind in (kinds[0], kinds[-1])}.values()):
            mail = mails.send(f"{group} {name} {number}", one)
            summary = one["annotations"]["summary"]
            assert re.match(r"\[[A-Z ?]+\] \S", mail.subject)
            assert ("Runbook", f"https://status.acme.example/medic/runbooks/{name}") in links(mail)
            for body in (mail.body(), mail.body("html")):
                assert not re.search(r"<no value>|&lt;no value|ZgotmplZ|%!", body), (name, body)
                assert re.search(r"Since\W.*?\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", body, re.DOTALL)
            assert summary.partition(":")[0] in mail.subject, (summary, mail.subject)
