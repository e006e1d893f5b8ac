"""Hypothesis looks for a way around the guards."""

from hypothesis import given, settings

from remediator.deciding.decide import decide, passes_with
from remediator.model.facts import Facts
from remediator.model.incident import Mode, Verb, kind_of
from tests.remediator.any_facts import any_facts
from tests.remediator.deciding import NOW


@settings(max_examples=600, deadline=None)
@given(any_facts())
def test_nothing_is_ever_acted_on_that_must_not_be(facts: Facts) -> None:
    decision = decide(facts, NOW)
    if decision.verb is Verb.CLOSE and facts.known:
        assert facts.probe is not None
        assert facts.probe.success
        assert passes_with(facts) >= facts.limits.passes
    if decision.verb is not Verb.ACT:
        return
    assert facts.known
    assert facts.mode is Mode.AUTO
    assert facts.probe is not None
    assert not facts.probe.success
    assert -1 <= NOW - facts.probe.time <= facts.limits.probe_max_age
    assert kind_of(facts.probe.reason).value != "for_a_human"
    assert all(pause.scope == "site:a" for pause in facts.pauses)
    assert facts.lease is None or facts.lease.expires_at <= NOW
    assert facts.sites is not None
    assert all(name in facts.sites and facts.sites[name].success for name in facts.needs)
    assert facts.canaries is not None
    assert not facts.canaries or any(one.success for one in facts.canaries)
    assert facts.limits.max_unhealthy > 0
    assert not over_the_cap(facts)
    if facts.incident.early:
        assert decision.action == "restart_container"
        assert facts.incident.look is not None
        assert facts.incident.look.evidence["container"]["status"] == "exited"  # type: ignore[index,call-overload]
    check_history(facts)
    check_target(facts, decision.action == "reboot_linode")


def over_the_cap(facts: Facts) -> bool:
    assert facts.sites is not None
    unhealthy = facts.sites.failing | facts.in_flight | {"www"}
    total = max(len(facts.sites), len(unhealthy))
    if total >= 3 and len(unhealthy) / total <= facts.limits.max_unhealthy:
        return False
    return bool(facts.in_flight - {"www"}) if total < 3 else len(unhealthy) > 1


def check_history(facts: Facts) -> None:
    recent = [one for one in facts.history if one.counts and one.created_at > NOW - facts.limits.per]
    assert len(recent) < facts.limits.attempts
    assert all(NOW - (one.finished_at or NOW) >= facts.limits.cooldown for one in facts.history if one.counts)


def check_target(facts: Facts, reboots: bool) -> None:
    assert facts.target is not None
    assert facts.target.site == "www"
    assert not reboots or facts.own_server is False
    local, ours = facts.target.server.local, facts.target.container == "sitemedic-exporter-1"
    assert not (local and (ours or reboots))
    if reboots:
        assert facts.target.server.may_reboot
        assert facts.target.server.linode is not None
        assert facts.canaries
        assert facts.neighbours is not None
        assert not any(one.success for one in facts.neighbours)
    else:
        assert facts.target.container is not None
