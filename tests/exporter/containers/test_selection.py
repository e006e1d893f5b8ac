"""Which containers of a server are watched, and with which thresholds."""

import pytest

from core.servers.containers import ContainerChoice, ContainerThresholds
from core.sites import Place
from exporter.containers.model import State
from exporter.containers.plan import SitePlace, Thresholds
from exporter.containers.selection import Selection
from tests.exporter.containers.told import container, watched


def of_compose(name, project, service, oneoff="False"):
    labels = {"project": project, "service": service, "oneoff": oneoff}
    return container(name, labels={f"com.docker.compose.{key}": value for key, value in labels.items()})


THERE = [
    container("nginx-1"),
    container("nginx-2", state=State.EXITED),
    container("db", labels={"tier": "db", "team": ""}),
    of_compose("shop-web-1", "shop", "web"),
    of_compose("shop-worker-1", "shop", "worker"),
    of_compose("shop-web-run-1", "shop", "web", oneoff="True"),
]


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        ({"name": "nginx-1"}, {"nginx-1"}),
        ({"name": "nginx*"}, {"nginx-1", "nginx-2"}),
        ({"name": "NGINX*"}, set()),
        ({"compose": "shop/web"}, {"shop-web-1"}),
        ({"compose": "shop/*"}, {"shop-web-1", "shop-worker-1"}),
        ({"compose": "*/worker"}, {"shop-worker-1"}),
        ({"label": "tier=db"}, {"db"}),
        ({"label": "tier"}, {"db"}),
        ({"label": "team="}, {"db"}),
        ({"label": "tier=cache"}, set()),
    ],
)
def test_a_choice_means_these(choice, names):
    assert set(Selection(watched(ContainerChoice(**choice))).of(THERE)) == names


def test_what_is_asked_for_by_its_whole_name_is_missed_where_it_is_not_there():
    choices = [
        ContainerChoice(**one) for one in ({"name": "gone"}, {"name": "gone*"}, {"compose": "shop/cron"})
    ]
    assert set(Selection(watched(*choices)).of(THERE)) == {"gone", "shop/cron"}


def test_containers_of_sites_are_watched_without_being_chosen():
    nothing = ContainerThresholds()
    server = watched(
        ContainerChoice(label="none"),
        sites=(
            SitePlace("shop", Place("web-1", compose="shop/web"), nothing),
            SitePlace("static", Place("web-1", container="nginx-1"), nothing),
            SitePlace("lost", Place("web-1", container="nginx-9"), nothing),
        ),
    )
    found = Selection(server).of(THERE)
    assert {name: one.sites for name, one in found.items()} == {
        "shop-web-1": ("shop",),
        "nginx-1": ("static",),
        "nginx-9": ("lost",),
    }


def test_a_sites_own_threshold_goes_before_a_choices_and_that_before_the_defaults():
    server = watched(
        ContainerChoice(name="nginx-1", cpu="80%"),
        ContainerChoice(name="*", cpu="70%", memory="75%"),
        sites=(
            SitePlace("a", Place("web-1", container="db"), ContainerThresholds(cpu="60%")),
            SitePlace("b", Place("web-1", container="db"), ContainerThresholds(cpu="50%", restarts=9)),
        ),
        defaults=Thresholds(cpu=0.95, memory=0.95, restarts=5),
    )
    found = Selection(server).of(THERE)
    assert found["nginx-1"].thresholds == Thresholds(0.8, 0.75, 5)
    assert found["nginx-2"].thresholds == Thresholds(0.7, 0.75, 5)
    assert found["db"].thresholds == Thresholds(0.5, 0.75, 9)  # of two sites in one, the stricter
