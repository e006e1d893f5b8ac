"""Who is told what: amtool asks the rendered routes."""

import subprocess
from pathlib import Path

import pytest

from tests.rendering import MAIL, Output, rendered_from

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
    route = output.alertmanager["route"]["routes"][2]
    assert route["matchers"] == [r'part_of="a \"b\\c\""']
    assert receivers(output, alertname="SiteDown", part_of=_quoted(name)) == ["remediator", "q@x.example"]


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def test_a_thousand_sites_that_share_addresses_share_receivers(tmp_path: Path) -> None:
    sites = "\n".join(
        f"  - {{name: s{number}, url: 'http://127.0.0.1:1/', email: [team-{number % 3}@acme.example]}}"
        for number in range(1200)
    )
    output = rendered_from(tmp_path, f"defaults: {{email: ops@acme.example}}\nsites:\n{sites}")
    assert len(output.alertmanager["receivers"]) == 2 + 1 + 3
    assert down(output, "s1199") == ["remediator", "team-2@acme.example"]


def test_a_thousand_sites_of_the_default_people_need_no_route_of_their_own(tmp_path: Path) -> None:
    sites = "\n".join(f"  - {{name: s{number}, url: 'http://127.0.0.1:1/'}}" for number in range(1200))
    output = rendered_from(tmp_path, f"defaults: {{email: ops@acme.example}}\nsites:\n{sites}")
    assert len(output.alertmanager["route"]["routes"]) == 3


def test_editing_one_site_changes_no_route_or_receiver_of_another(tmp_path: Path) -> None:
    before = rendered_from(tmp_path / "before", COMPANY)
    after = rendered_from(
        tmp_path / "after", COMPANY + "  - {name: new, url: 'http://x/', email: new@acme.example}\n"
    )
    routes = [
        route for route in after.alertmanager["route"]["routes"] if "new" not in str(route.get("matchers"))
    ]
    assert routes == before.alertmanager["route"]["routes"]


def test_only_mails_about_slowness_are_inhibited(company: Output) -> None:
    targets = [rule["target_matchers"] for rule in company.alertmanager["inhibit_rules"]]
    assert targets == [['alertname="SiteSlow"'], ['alertname="ExporterStale"']]


def test_receivers_show_no_address_in_their_names(company: Output) -> None:
    assert not any("@" in receiver["name"] for receiver in company.alertmanager["receivers"])
    assert MAIL["SMTP_FROM"] == company.alertmanager["global"]["smtp_from"]
