from pathlib import Path

import jsonschema
import pytest
from pydantic import Field, model_validator

from core.durations import Duration
from core.faults import ConfigError, Fault
from core.sites import Document, Options, Part, json_schema, load


class Alert(Options):
    after: Duration = 30
    severity: str = "critical"


class Probe(Options):
    url: str
    interval: Duration = 15
    timeout: Duration = 5
    alert: Alert = Alert()
    labels: dict[str, str] = Field(default_factory=dict)
    module: str = ""

    @model_validator(mode="after")
    def timeout_fits(self) -> "Probe":
        if self.timeout >= self.interval:
            raise ValueError("timeout must be below interval")
        return self


class ProbeDefaults(Options):
    interval: Duration = 15
    alert: Alert = Alert()


class Server(Options):
    ssh: str


class Top(Options):
    servers: dict[str, Server] = Field(default_factory=dict)


class Recover(Options):
    recover: str = ""


def known_servers(document: Document) -> list[Fault]:
    servers = document.top(Top).servers
    named = ((site, site.part(Recover).recover) for site in document.sites)
    return [
        document.fault(site, "recover", f"no server {name!r}")
        for site, name in named
        if name not in {*servers, ""}
    ]


PARTS = (
    Part("exporter", None, Probe, ProbeDefaults, frozenset({"interval", "alert"})),
    Part(
        "remediator",
        Top,
        Recover,
        check=known_servers,
        info=lambda site, _: {"server": site.part(Recover).recover},
    ),
)


def read(tmp_path: Path, text: str) -> Document:
    file = tmp_path / "sites.yml"
    file.write_text(text)
    return load(file, PARTS)


def faults(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    return str(caught.value).splitlines()


def test_apps_stand_below_their_site_and_take_what_it_hands_down(tmp_path: Path) -> None:
    document = read(
        tmp_path,
        """
        defaults: {interval: 10s, alert: {after: 7s}}
        servers: {s: {ssh: host}}
        sites:
          - name: www
            url: https://a
            recover: s
            alert: {severity: warning}
            apps: [{name: api, url: https://b, apps: [{name: db, url: "tcp://c:1", interval: 20s}]}]
        """,
    )
    assert [site.name for site in document.sites] == ["www", "www/api", "www/api/db"]
    www, api, db = document.sites
    assert (db.parent, db.root, db.path) == ("www/api", "www", "sites[0].apps[0].apps[0]")
    assert api.part(Probe).alert == Alert(after=7, severity="warning")
    assert (api.part(Probe).interval, db.part(Probe).interval) == (10, 20)
    assert (document.info(www), document.info(api)) == ({"server": "s"}, {"server": ""})
    assert document.site("www/api") is api


def test_all_faults_are_told_at_once_with_file_path_and_mend(tmp_path: Path) -> None:
    told = faults(
        tmp_path,
        """
        serverz: {}
        servers: {s: {ssh: host, user: me}}
        sites:
          - {name: a, url: x, intervall: 3s, timeout: 20s}
          - {name: a, url: [1], alert: {aftr: 3}}
          - {url: y}
          - {name: b, url: y, recover: t}
          - nonsense
        """,
    )
    assert told == [
        "sites.yml: serverz: unknown key (did you mean 'servers'?)",
        "sites.yml: servers.s.user: unknown key (known here: ssh)",
        "sites.yml: sites[1].name: 'a' is already at sites.yml: sites[0]",
        "sites.yml: sites[2].name: is required",
        "sites.yml: sites[4]: must be a site: a mapping with name and url",
        "sites.yml: sites[0].intervall: unknown key (did you mean 'interval'?)",
        "sites.yml: sites[0]: timeout must be below interval",
        "sites.yml: sites[1].url: should be a valid string",
        "sites.yml: sites[1].alert.aftr: unknown key (did you mean 'after'?)",
    ]


def test_a_cross_check_speaks_when_every_piece_is_sound(tmp_path: Path) -> None:
    assert faults(tmp_path, "sites: [{name: b, url: y, recover: t}]") == [
        "sites.yml: sites[0].recover: no server 't'"
    ]


def test_a_fault_in_the_defaults_is_told_once_and_not_at_each_site(tmp_path: Path) -> None:
    assert faults(
        tmp_path, "{defaults: {interval: soon}, sites: [{name: a, url: x}, {name: b, url: x}]}"
    ) == ["sites.yml: defaults.interval: must be a duration such as 500ms, 15s or 1m30s (got 'soon')"]


def test_a_fault_that_an_app_inherits_is_told_at_its_site(tmp_path: Path) -> None:
    text = "sites: [{name: a, url: x, alert: {after: no}, apps: [{name: b, url: y}]}]"
    assert [line.split(": ")[1] for line in faults(tmp_path, text)] == ["sites[0].alert.after"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "must be a mapping with sites"),
        ("[1, 2]", "must be a mapping with sites"),
        ("sites: []", "name at least one site"),
        ("sites: {a: b}", "must be a list"),
        ("sites:\n\t- a", "(a tab: indent with blanks)"),
        ("a: [", "line 2, column 1: is not valid YAML"),
        ("sites: []\nsites: []", "line 2, column 1: is not valid YAML: the key 'sites' is given twice"),
        ("sites: [{name: a/b, url: x}]", "without '/'"),
        ("site_files: [nowhere/*.yml]", "no file matches"),
        ("!!python/object/apply:os.system [true]", "is not valid YAML"),
    ],
)
def test_a_file_that_is_no_sites_yml_is_refused_with_the_mend(tmp_path: Path, text: str, fault: str) -> None:
    assert fault in "\n".join(faults(tmp_path, text))


def test_a_missing_file_says_what_makes_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"sitemedic init"):
        load(tmp_path / "sites.yml", PARTS)


def test_site_files_in_the_form_of_file_sd_become_sites(tmp_path: Path) -> None:
    (tmp_path / "targets").mkdir()
    (tmp_path / "targets/a.yml").write_text(
        "- {targets: [https://x/1, https://x/2], labels: {module: fast, team: web, __meta: no}}\n"
        "- {targets: ['db:5432'], labels: {site: db}}\n"
    )
    (tmp_path / "targets/b.json").write_text('[{"targets": ["https://y"]}]')
    document = read(tmp_path, "site_files: [targets/*.yml, targets/*.json]")
    assert [site.name for site in document.sites] == ["https://x/1", "https://x/2", "db", "https://y"]
    first = document.sites[0].part(Probe)
    assert (first.url, first.module, first.labels) == ("https://x/1", "fast", {"team": "web"})
    assert {path.name for path in document.files} == {"sites.yml", "targets", "a.yml", "b.json"}


def test_a_faulty_site_file_is_named_in_its_fault(tmp_path: Path) -> None:
    (tmp_path / "t.yml").write_text(
        "- {targets: [3], label: {}}\n- {targets: ['x:1'], labels: {interval: 1x}}\n"
    )
    told = "\n".join(faults(tmp_path, "site_files: [t.yml]"))
    assert "t.yml: [0].label: unknown key" in told
    assert "t.yml: [0].targets[0]: must be a target" in told
    assert "t.yml: [1].targets[0].interval: must be a duration" in told


def test_the_json_schema_accepts_what_the_loader_accepts_and_refuses_unknown_keys() -> None:
    schema = json_schema(PARTS)
    good = {"sites": [{"name": "a", "url": "x", "interval": "15s", "apps": [{"name": "b", "url": "y"}]}]}
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(good, schema)
    with pytest.raises(jsonschema.ValidationError, match="intervall"):
        jsonschema.validate({"sites": [{"name": "a", "url": "x", "intervall": 3}]}, schema)
