"""Facts as hypothesis draws them: those that would be acted on, and a few of them changed."""

from dataclasses import replace

from hypothesis import strategies as st

from core.servers.server import Server
from remediator.model.action import Target
from remediator.model.facts import Facts, Limits, Untold
from remediator.model.holds import Pause
from remediator.model.incident import Lease, Mode, Stage
from remediator.model.seen import Canary, Probe
from tests.remediator.deciding import DEAD_SERVER, FACTS, NOW, attempt, early, looked, states

some_servers = st.builds(
    Server, st.just("web"), st.none(), st.sampled_from([None, 7, 7]), st.booleans(), st.booleans()
)
some_targets = st.one_of(
    st.none(),
    st.builds(
        Target,
        st.sampled_from(["www", "www", "blog"]),
        some_servers,
        container=st.sampled_from(["nginx", "sitemedic-exporter-1", None]),
    ),
)
CHANGES: dict[str, st.SearchStrategy[object]] = {
    "known": st.booleans(),
    "has_recover": st.booleans(),
    "target": some_targets,
    "mode": st.sampled_from(Mode),
    "probe": st.one_of(
        st.none(),
        st.builds(
            Probe,
            site=st.just("www"),
            success=st.booleans(),
            time=st.floats(NOW - 30, NOW + 10),
            reason=st.sampled_from(["status", "body", "refused", "timeout", "dns", "tls", "error", None]),
        ),
    ),
    "sites": st.one_of(
        st.none(),
        st.dictionaries(st.sampled_from("abcdefgh"), st.sampled_from([True, False, None])).map(
            lambda found: states(**found, www=False)
        ),
    ),
    "needs": st.lists(st.sampled_from(["blog", "a", "b"]), max_size=2).map(tuple),
    "canaries": st.one_of(
        st.none(), st.lists(st.builds(Canary, st.just("c"), st.booleans()), max_size=2).map(tuple)
    ),
    "neighbours": st.one_of(
        st.none(),
        st.lists(st.builds(Probe, st.just("n"), st.booleans(), st.just(NOW)), max_size=2).map(tuple),
    ),
    "own_server": st.sampled_from([True, False, Untold("no answer"), Untold("no token", permanent=True)]),
    "in_flight": st.frozensets(st.sampled_from(["blog", "wiki", "a", "b"]), max_size=3),
    "pauses": st.lists(
        st.builds(
            Pause,
            st.sampled_from(["all", "site:www", "server:web", "site:a"]),
            st.just(""),
            st.just(""),
            st.just(1.0),
        ),
        max_size=2,
    ).map(tuple),
    "lease": st.one_of(
        st.none(), st.builds(Lease, st.just("web"), st.just("x"), st.just(1), st.floats(NOW - 9, NOW + 9))
    ),
    "history": st.lists(
        st.builds(
            attempt,
            st.integers(1, 99),
            incident_id=st.integers(1, 3),
            stage=st.sampled_from([Stage.FAILED, Stage.SUCCEEDED, Stage.ABANDONED]),
            created_at=st.floats(NOW - 7200, NOW - 1),
            finished_at=st.floats(NOW - 300, NOW),
            action=st.sampled_from(["restart_container", "reboot_linode"]),
        ),
        max_size=6,
    ).map(tuple),
    "limits": st.builds(
        Limits, max_unhealthy=st.sampled_from([0.0, 0.3, 0.5, 1.0]), attempts=st.integers(1, 3)
    ),
}


@st.composite
def any_facts(draw: st.DrawFn) -> Facts:
    """Facts on which it would act, with one to four of them changed."""
    told_early = [replace(FACTS, **early(status)) for status in ("exited", "paused")]  # type: ignore[arg-type]
    others = [FACTS, DEAD_SERVER, replace(DEAD_SERVER, incident=looked("ok"))]
    facts = draw(st.sampled_from([*others, *told_early]))
    names = draw(st.lists(st.sampled_from(sorted(CHANGES)), min_size=1, max_size=4, unique=True))
    return replace(facts, **{name: draw(CHANGES[name]) for name in names})  # type: ignore[arg-type]
