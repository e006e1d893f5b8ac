"""What holds for a site, and where it comes from."""

from pathlib import Path

import pytest

from core.sites import effective
from stack.parts import PARTS

TEXT = """
defaults: {email: ops@acme.example, interval: 20s, alert: {severity: warning}}
sites:
  - name: www
    url: https://acme.example/
    alert: {after: 1m}
    recovery_email: [boss@acme.example]
    apps:
      - name: api
        url: https://acme.example/api
        email: api@acme.example
        apps: [{name: db, url: "tcp://db:5432", alert: {after: 5s}}]
site_files: [more.yml]
"""


@pytest.fixture
def sites(tmp_path: Path) -> Path:
    (tmp_path / "more.yml").write_text("[{targets: ['https://b.example/'], labels: {interval: 1m}}]")
    (tmp_path / "sites.yml").write_text(TEXT)
    return tmp_path / "sites.yml"


def found(sites: Path, name: str) -> dict[str, tuple[object, str]]:
    return {each.key: (each.value, each.origin) for each in effective(sites, PARTS, name)[2]}


def test_each_key_tells_its_value_and_the_nearest_place_that_sets_it(sites: Path) -> None:
    www = found(sites, "www")
    assert www["alert.after"] == ("1m", "sites[0]")
    assert www["alert.severity"] == ("warning", "defaults")
    assert www["interval"] == ("20s", "defaults")
    assert www["email"] == (["ops@acme.example"], "defaults")
    assert www["timeout"] == (None, "")
    assert www["recover"] == (None, "")


def test_an_app_takes_what_is_inherited_from_every_site_above_it(sites: Path) -> None:
    db = found(sites, "www/api/db")
    assert db["alert.after"] == ("5s", "sites[0].apps[0].apps[0]")
    assert db["email"] == (["api@acme.example"], "sites[0].apps[0]")
    assert db["recovery_email"] == (["boss@acme.example"], "sites[0]")
    assert found(sites, "www/api")["alert.after"] == ("1m", "sites[0]")


def test_a_site_of_a_site_file_tells_its_place_there(sites: Path) -> None:
    assert found(sites, "https://b.example/")["interval"] == ("1m", "[0].targets[0]")


def test_what_is_told_is_what_the_services_take(sites: Path) -> None:
    """The origins come from the raw file, the values from the models: both must speak of the same keys."""
    document, site, settings = effective(sites, PARTS, "www/api")
    keys = {each.key.partition(".")[0] for each in settings}
    assert keys == {
        info.alias or name
        for model in site.parts
        for name, info in type(site.parts[model]).model_fields.items()
    }
    assert document.site("www/api") == site


def test_a_name_that_is_not_there_is_told_with_the_nearest(sites: Path) -> None:
    with pytest.raises(LookupError, match=r"has no site 'www/apo' \(did you mean 'www/api'\?\)"):
        effective(sites, PARTS, "www/apo")
