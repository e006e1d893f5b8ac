from pathlib import Path

import pytest

from core.faults import ConfigError
from exporter.configuration import Configuration, read
from exporter.module import BUILT_IN
from exporter.schema import PART

MODULES = """
modules:
  http_post: {prober: http, timeout: 3s, http: {method: POST}}
  banner: {prober: tcp, timeout: 20s}
  ping: {prober: icmp}
"""


def configured(folder: Path, text: str, name: str = "sites.yml", **others: str) -> Configuration:
    for other, content in others.items():
        (folder / f"{other}.yml").write_text(content)
    path = folder / name
    path.write_text(text)
    return read(path, (PART,))


def faults(folder: Path, text: str, **others: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        configured(folder, text, **others)
    return [str(fault) for fault in caught.value.faults]


def test_a_site_needs_no_more_than_a_name_and_a_url(tmp_path: Path) -> None:
    (site,) = configured(
        tmp_path, "sites: [{name: shop, url: 'https://me:pw@shop.example/a?token=1#x'}]"
    ).sites
    assert (site.interval, site.timeout, site.after, site.within) == (15, 5, 30, None)
    assert site.instance == "https://shop.example/a"
    assert site.module == BUILT_IN["http_2xx"]
    assert dict(site.info) == {"part_of": "shop", "severity": "critical"}


@pytest.mark.parametrize("written", ["99.95%", "'99.95 %'", "0.9995", '"0.9995"'])
def test_an_objective_is_a_share_as_people_write_it(tmp_path: Path, written: str) -> None:
    text = f"sites: [{{name: shop, url: 'https://shop.example/', alert: {{objective: {written}}}}}]"
    (site,) = configured(tmp_path, text).sites
    assert site.objective == 0.9995


def test_an_objective_is_999_in_1000_unless_the_site_or_the_one_above_says_otherwise(tmp_path: Path) -> None:
    text = """
defaults: {alert: {objective: 99.5%}}
sites:
  - {name: plain, url: 'https://a.example/', alert: {after: 1m}}
  - {name: www, url: 'https://b.example/', alert: {objective: 99%}, apps: [{name: api, url: 'https://b.example/api'}]}
"""
    assert {site.name: site.objective for site in configured(tmp_path, text).sites} == {
        "plain": 0.995, "www": 0.99, "www/api": 0.99,
    }  # fmt: skip
    (site,) = configured(tmp_path, "sites: [{name: shop, url: 'https://shop.example/'}]").sites
    assert site.objective == 0.999


@pytest.mark.parametrize(
    ("written", "mend"),
    [
        ("100%", "must be below 100%"),
        ("1", "must be below 100%"),
        ("0%", "must be above 0%"),
        ("99.9", "(got 99.9: write 99.9%)"),
        ("101%", "such as 99.9% or 0.999 (got '101%')"),
        ("-5%", "such as 99.9% or 0.999"),
        ("high", "such as 99.9% or 0.999 (got 'high')"),
        ("true", "such as 99.9% or 0.999 (got True)"),
        (".nan", "such as 99.9% or 0.999"),
    ],
)
def test_what_is_no_objective_is_refused_with_the_mend(tmp_path: Path, written: str, mend: str) -> None:
    text = f"sites: [{{name: shop, url: 'https://shop.example/', alert: {{objective: {written}}}}}]"
    (fault,) = faults(tmp_path, text)
    assert "sites[0].alert.objective" in fault
    assert mend in fault


def test_the_scheme_chooses_the_module(tmp_path: Path) -> None:
    (site,) = configured(tmp_path, "sites: [{name: db, url: 'tcp://10.0.0.1:6379'}]").sites
    assert site.module == BUILT_IN["tcp_connect"]


def test_an_app_takes_group_interval_timeout_alert_and_labels_of_its_site(tmp_path: Path) -> None:
    text = """
defaults: {interval: 20s, expect: {within: 2s}}
sites:
  - name: www
    url: https://acme.example/
    group: web
    interval: 10s
    timeout: 2s
    alert: {after: 1m, severity: warning}
    labels: {team: a}
    expect: {within: 800ms, status: 200}
    apps:
      - {name: api, url: 'https://acme.example/api', alert: {after: 10s}}
"""
    www, api = configured(tmp_path, text).sites
    assert (api.name, api.interval, api.timeout, api.after) == ("www/api", 10, 2, 10)
    assert dict(api.info) == {
        "team": "a", "group": "web", "part_of": "www", "severity": "warning", "parent": "www",
    }  # fmt: skip
    assert (www.within, api.within) == (0.8, 2)
    assert api.module == BUILT_IN["http_2xx"]
    assert www.module != api.module


@pytest.mark.parametrize(("interval", "timeout"), [("15s", 5.0), ("5s", 4.0), ("1s", 0.8), ("1h", 5.0)])
def test_the_default_timeout_is_below_the_interval(tmp_path: Path, interval: str, timeout: float) -> None:
    text = f"sites: [{{name: a, url: 'http://a/', interval: {interval}}}]"
    assert configured(tmp_path, text).sites[0].timeout == pytest.approx(timeout)


def test_a_modules_timeout_goes_before_the_default_but_stays_below_the_interval(tmp_path: Path) -> None:
    text = """
modules_file: blackbox.yml
sites:
  - {name: a, url: 'http://a/', module: http_post}
  - {name: b, url: 'tcp://b:1', module: banner}
  - {name: c, url: 'tcp://b:1', module: banner, timeout: 1s}
"""
    sites = configured(tmp_path, text, blackbox=MODULES).sites
    assert [site.timeout for site in sites] == [3, 12, 1]


def test_a_site_may_have_an_unused_prober_in_its_modules_file_but_not_name_it(tmp_path: Path) -> None:
    text = "modules_file: blackbox.yml\nsites: [{name: a, url: 'a', module: dot}]"
    modules = "modules: {dot: {prober: dns, dns: {query_name: example.com, dns_over_tls: true}}}"
    (fault,) = faults(tmp_path, text, blackbox=modules)
    assert fault.startswith("sites.yml: sites[0].module: dot cannot be used: dns.dns_over_tls: needs ")


def test_a_blackbox_yml_is_a_configuration_of_its_own(tmp_path: Path) -> None:
    found = configured(tmp_path, MODULES, "blackbox.yml")
    assert found.sites == ()
    assert found.allowed is None
    assert {*BUILT_IN, "http_post", "banner", "ping"} == set(found.modules)


def test_a_target_list_may_hold_bare_targets_where_a_module_says_how_to_read_them(tmp_path: Path) -> None:
    text = "site_files: [targets.yml]\nmodules_file: blackbox.yml"
    targets = """
- targets: ['db:5432', 'cache:6379']
  labels: {module: tcp_connect, group: data, rack: r1}
- targets: [example.com]
  labels: {module: http_2xx}
"""
    sites = configured(tmp_path, text, targets=targets, blackbox=MODULES).sites
    assert [(site.name, site.instance) for site in sites] == [
        ("db:5432", "db:5432"),
        ("cache:6379", "cache:6379"),
        ("example.com", "example.com"),
    ]
    assert dict(sites[0].info)["rack"] == "r1"


def test_relative_paths_in_modules_start_at_their_own_file(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    modules = "modules: {m: {prober: http, http: {basic_auth: {username: a, password_file: pw}}}}"
    (tmp_path / "more" / "blackbox.yml").write_text(modules)
    inline = modules.replace("{m:", "{n:")
    text = f"{inline}\nmodules_file: more/blackbox.yml\nsites: [{{name: a, url: 'http://a/', module: m}}]"
    (tmp_path / "pw").write_text("x")
    (tmp_path / "more" / "pw").write_text("x")
    found = configured(tmp_path, text)
    assert found.modules["m"].options.basic_auth.password_file == tmp_path / "more" / "pw"  # type: ignore[attr-defined]
    assert found.modules["n"].options.basic_auth.password_file == tmp_path / "pw"  # type: ignore[attr-defined]
    assert tmp_path / "more" / "blackbox.yml" in found.files


def test_a_file_that_a_module_names_and_nobody_can_read_is_told_with_its_key(tmp_path: Path) -> None:
    modules = "modules: {m: {prober: http, http: {basic_auth: {username: a, password_file: pw}}}}"
    inline = "modules: {n: {prober: tcp, tcp: {tls_config: {ca_file: ca.pem}}}}"
    text = f"{inline}\nmodules_file: blackbox.yml\nsites: [{{name: a, url: 'http://a/'}}]"
    missing = "No such file or directory"
    password = f"modules.m.http.basic_auth.password_file: cannot read {tmp_path}/pw: {missing}"
    assert faults(tmp_path, text, blackbox=modules) == [
        f"sites.yml: modules.n.tcp.tls_config.ca_file: cannot read {tmp_path}/ca.pem: {missing}",
        f"blackbox.yml: {password}",
    ]
    assert faults(tmp_path, modules) == [f"sites.yml: {password}"]


def test_a_module_of_canaries_that_a_file_redefines_must_fit_them(tmp_path: Path) -> None:
    text = """
canaries: ['http://a/', 'tcp://a:1']
modules:
  web: {prober: http}
  http_2xx: {prober: tcp}
  tcp_connect: {prober: dns, dns: {query_name: a, dns_over_tls: true}}
sites: [{name: a, url: 'http://a/', module: web}]
"""
    assert faults(tmp_path, text) == [
        f"sites.yml: canaries: are probed with {message}"
        for message in (
            "http_2xx, which cannot be used: it probes tcp",
            "tcp_connect, which cannot be used: dns.dns_over_tls: needs transport_protocol: tcp",
        )
    ]


def test_all_faults_are_told_at_once_with_path_and_mend(tmp_path: Path) -> None:
    text = """
canaries: [status.example.net]
probe_targets: ['not a host']
modules: {m: {prober: htp}}
sites:
  - {name: a, url: 'ftp://a/', interval: 10ms}
  - {name: b, url: 'http://b/', timeout: 90s, interval: 60s}
  - {name: c, url: 'http://c/', expect: {status: 20, body: '('}, labels: {site: x}}
  - {name: d, url: 'tcp://d'}
  - {name: e, url: 'http://e/', modul: x}
"""
    found = "\n".join(faults(tmp_path, text))
    for said in (
        "canaries[0]: needs its protocol in front: https://status.example.net or tcp://status.example.net",
        "probe_targets[0]: must be a URL prefix",
        "modules.m.prober: must be one of http, tcp",
        "sites[0].url: must begin with one of http://, https://, tcp://, tls://, dns://",
        "sites[0].interval: must be 100ms or more (got 10ms)",
        "sites[2].expect.status",
        "sites[2].expect.body: must be a pattern",
        "sites[2].labels: 'site' is set by Sitemedic",
        "sites[3].url: 'tcp://d' lacks a port: write host:port",
        "sites[4].modul: unknown key (did you mean 'module'?)",
    ):
        assert said in found


def test_what_does_not_fit_together_is_told_at_the_site(tmp_path: Path) -> None:
    text = """
sites:
  - {name: a, url: 'http://a/', timeout: 90s, interval: 60s}
  - {name: b, url: 'http://b/', module: http_2x}
  - {name: c, url: 'http://c/', module: tcp_connect}
  - {name: d, url: 'tcp://d:1', expect: {status: 200}}
  - {name: e, url: 'e:1'}
"""
    assert faults(tmp_path, text) == [
        "sites.yml: sites[0].timeout: must be below interval (got 1m30s, interval 1m)",
        "sites.yml: sites[1].module: unknown module 'http_2x' (did you mean 'http_2xx'?)",
        "sites.yml: sites[2].module: tcp_connect probes tcp, but the url is http://c/ (http_2xx would fit)",
        "sites.yml: sites[3].expect: status and body can be expected of http only (the prober is tcp)",
        "sites.yml: sites[4].url: needs its protocol in front: https://e:1 or tcp://e:1",
    ]


def test_what_does_not_fit_together_at_heartbeats_is_told(tmp_path: Path) -> None:
    told = faults(
        tmp_path,
        """
sites:
  - {name: a, url: "heartbeat://night ly", every: 1d}
  - {name: b, url: "heartbeat://job", every: 1d, grace: 500ms}
""",
    )
    assert told == [
        (
            "sites.yml: sites[0].url: 'heartbeat://night ly' must be heartbeat:// and a name of letters, "
            "digits, '.', '_' and '-': heartbeat://nightly-backup"
        ),
        "sites.yml: sites[1].grace: must be 1s or more (got 500ms)",
    ]
    told = faults(
        tmp_path,
        """
canaries: ["heartbeat://far"]
sites:
  - {name: a, url: "heartbeat://job", every: 1d}
  - {name: b, url: "heartbeat://job"}
  - {name: c, url: "http://c/", every: 1d, token_file: x}
  - {name: d, url: "heartbeat://d", every: 1d, expect: {status: 200}}
""",
    )
    assert told == [
        "sites.yml: sites[3].expect: status and body can be expected of http only (the prober is heartbeat)",
        "sites.yml: sites[1].every: is missing: how often its job says that it succeeded, e.g. 1d",
        "sites.yml: sites[1].url: is that of a: give each job a name of its own",
        "sites.yml: sites[2].every: is for a site with url: heartbeat://NAME only",
        "sites.yml: sites[2].token_file: is for a site with url: heartbeat://NAME only",
        (
            "sites.yml: canaries: are probed with heartbeat, which cannot be used: a job that calls here "
            "tells nothing of the way out"
        ),
    ]


@pytest.mark.parametrize(
    ("content", "said"), [("", "empty"), ("short", "16 to 200"), ("with a blank in it 123", "16 to 200")]
)
def test_a_token_that_is_none_is_told_with_its_file(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "token").write_text(content)
    site = '{name: a, url: "heartbeat://job", every: 1d, token_file: token}'
    (fault,) = faults(tmp_path, f"sites:\n  - {site}\n")
    assert fault.startswith(f"sites.yml: sites[0].token_file: {tmp_path / 'token'}: ")
    assert said in fault
    assert not content or content not in fault


def test_a_faulty_modules_file_is_named(tmp_path: Path) -> None:
    text = "modules_file: blackbox.yml\nsites: [{name: a, url: 'http://a/'}]"
    modules = "modules: {m: {prober: http, http: {methd: POST}}}\nextra: 1"
    assert faults(tmp_path, text, blackbox=modules) == [
        "blackbox.yml: extra: unknown key (known here: modules)",
        "blackbox.yml: modules.m.http.methd: unknown key (did you mean 'method'?)",
    ]


def test_a_module_given_twice_is_refused(tmp_path: Path) -> None:
    text = (
        "modules_file: blackbox.yml\nmodules: {banner: {prober: tcp}}\nsites: [{name: a, url: 'http://a/'}]"
    )
    assert faults(tmp_path, text, blackbox=MODULES) == [
        "sites.yml: modules.banner: is also in blackbox.yml: keep one of them"
    ]


def test_credentials_of_a_url_are_not_in_a_fault(tmp_path: Path) -> None:
    text = (
        "sites: [{name: a, url: 'http://me:geheim@a/', module: tcp_connect}, {name: b, url: 'me:geheim@b'}]"
    )
    assert "geheim" not in "\n".join(faults(tmp_path, text))
