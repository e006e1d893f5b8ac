"""What counts as one thing that broke, and what a pause, a cooldown and our own network reach."""

from dataclasses import replace

from remediator.deciding.decide import decide
from remediator.guards import GUARDS
from remediator.guards.max_unhealthy import max_unhealthy
from remediator.guards.paused import applies
from remediator.guards.verdict import Allow, WaitUntil
from remediator.model.facts import Facts, Sites
from remediator.model.holds import Pause
from remediator.model.incident import Reason, Verb
from remediator.model.seen import Canary, SiteState
from tests.remediator.deciding import FACTS, NOW, REBOOT, RESTART, attempt, failing, looked, states


def test_sites_of_one_server_count_as_one_thing_that_broke() -> None:
    sites = states(www=False, shop=False, blog=False)
    one_server = replace(FACTS, sites=sites, servers=dict.fromkeys(sites, "web"))
    assert isinstance(max_unhealthy(one_server, RESTART, NOW), Allow)
    two_servers = replace(one_server, servers={"www": "web", "shop": "web", "blog": "db"})
    assert isinstance(max_unhealthy(two_servers, RESTART, NOW), WaitUntil)


def down(**places: tuple[str, str]) -> Facts:
    """Return facts with these sites down, each as (root site, reason), and one healthy site beside them."""
    found = {
        name.replace("_", "/"): SiteState(name, False, part_of=root, reason=reason)
        for name, (root, reason) in places.items()
    }
    healthy = SiteState("other", True, part_of="other")
    return replace(FACTS, sites=Sites({**found, "other": healthy}))


def test_a_chain_of_servers_and_sites_is_not_one_thing_that_broke() -> None:
    """One root site on two servers, each with another site: a network's fault reaches all of them."""
    facts = down(www=("www", "timeout"), www_db=("www", "timeout"), shop=("shop", "timeout"))
    chained = replace(facts, servers={"www": "web", "www/db": "db", "shop": "db"})
    for step in (RESTART, REBOOT):
        verdict = max_unhealthy(chained, step, NOW)
        assert isinstance(verdict, WaitUntil)
        assert verdict.reason is Reason.TOO_MANY_UNHEALTHY


def test_a_root_site_with_silent_parts_on_two_servers_is_restarted_but_not_rebooted() -> None:
    facts = down(www=("www", "timeout"), www_db=("www", "timeout"), www_api=("www", "timeout"))
    silent = replace(facts, servers={"www": "web", "www/db": "db"})
    assert isinstance(max_unhealthy(silent, RESTART, NOW), Allow)
    assert isinstance(max_unhealthy(silent, REBOOT, NOW), WaitUntil)
    facts = down(www=("www", "timeout"), www_db=("www", "status"), www_api=("www", "timeout"))
    other_server_answers = replace(facts, servers={"www": "web", "www/db": "db"})
    assert isinstance(max_unhealthy(other_server_answers, REBOOT, NOW), Allow)


def test_a_site_without_a_server_counts_as_where_its_root_is() -> None:
    facts = down(www=("www", "timeout"), www_api=("www", "timeout"), shop=("shop", "timeout"))
    one_server = replace(facts, servers={"www": "web", "shop": "web"})
    assert isinstance(max_unhealthy(one_server, REBOOT, NOW), Allow)
    shop_is_nowhere = replace(facts, servers={"www": "web"})
    assert isinstance(max_unhealthy(shop_is_nowhere, REBOOT, NOW), WaitUntil)


def test_when_our_own_network_is_down_no_rule_of_one_thing_lets_a_reboot_through() -> None:
    facts = replace(down(www=("www", "timeout"), www_api=("www", "timeout")), incident=looked("unreachable"))
    for canaries in ((), None, (Canary("a", success=False),)):
        assert decide(replace(facts, probe=failing("timeout"), canaries=canaries), NOW).verb is not Verb.ACT


def test_an_attempt_on_the_same_server_but_another_site_needs_no_cooldown_unless_it_was_a_reboot() -> None:
    other = attempt(site="x", target="y", finished_at=NOW)
    assert isinstance(GUARDS["cooldown"](replace(FACTS, history=(other,)), RESTART, NOW), Allow)
    rebooted = replace(other, action="reboot_linode")
    assert isinstance(GUARDS["cooldown"](replace(FACTS, history=(rebooted,)), RESTART, NOW), WaitUntil)


def test_a_pause_of_a_site_covers_its_apps_and_no_namesake() -> None:
    pause = Pause("site:www", "", "", 0.0)
    assert applies(pause, "www/api", None)
    assert not applies(pause, "www2", None)
