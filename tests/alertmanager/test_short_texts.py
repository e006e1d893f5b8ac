"""The few lines for chats and pagers, as a real Alertmanager makes them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.mailing import Alert, Mailing, alert, mailing, over

pytestmark = pytest.mark.needs("prometheus-alertmanager")

SHORT = '{{ template "sitemedic.short" . }}'
BEGAN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture(scope="module")
def chats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mailing]:
    addresses = {"PUBLIC_URL": "https://status.example"}
    with mailing(tmp_path_factory.mktemp("chats"), addresses, SHORT) as found:
        yield found


def said(chats: Mailing, group: str, *alerts: Alert) -> list[str]:
    return chats.send(group, *alerts).body().splitlines()


def down(site: str) -> Alert:
    return alert(
        "SiteDown",
        site,
        begins=BEGAN,
        labels={"outage": "site:www"},
        summary=f"{site}: answered 500",
        description="what the other lines say",
        since="2026-01-02 03:03:35 UTC",
        reason="status",
        status_code="500",
        latency="132ms",
        healing="Sitemedic restarts its container",
        incident="7",
    )


def test_one_outage_is_told_in_a_few_lines(chats: Mailing) -> None:
    assert said(chats, "one", down("www")) == [
        "Since 2026-01-02 03:03:35 UTC",
        "status 500 · 132ms",
        "Sitemedic restarts its container",
        "https://status.example/incidents/7",
    ]
    ended = down("www") | {"endsAt": (BEGAN + timedelta(minutes=7)).isoformat()}
    assert said(chats, "one", ended) == [
        "Since 2026-01-02 03:03:35 UTC, until 2026-01-02 03:11:05 UTC",
        "https://status.example/incidents/7",
    ]


def test_several_are_told_in_six_lines_at_most(chats: Mailing) -> None:
    sites = [{**down(f"site-{number}"), "startsAt": datetime.now(UTC).isoformat()} for number in range(9)]
    place = "https://status.example/incidents/7"
    assert said(chats, "several", *sites[:2]) == ["site-0: answered 500", "site-1: answered 500", place]
    assert said(chats, "two", *sites[:2])
    assert said(chats, "two", over(sites[0])) == ["site-1: answered 500", "Over: site-0: answered 500", place]
    assert said(chats, "several", *sites, over(sites[0])) == [
        *(f"site-{number}: answered 500" for number in (1, 2, 3, 4)),
        "… and 5 more",
        place,
    ]


def test_the_bare_least_is_told_too(chats: Mailing) -> None:
    bare = {"labels": {"alertname": "Bare"}, "annotations": {}, "startsAt": BEGAN.isoformat()}
    assert said(chats, "bare", bare) == ["Since 2026-01-02 03:04:05 UTC", "https://status.example/"]


def test_a_long_text_is_cut(chats: Mailing) -> None:
    lines = said(chats, "long", alert("SiteNeedsHuman", "www", begins=BEGAN, description="x\n" * 2000))
    assert len(lines) <= 6
    assert max(map(len, lines)) < 200


def test_a_chat_is_led_nowhere_that_only_this_machine_knows(tmp_path_factory: pytest.TempPathFactory) -> None:
    with mailing(tmp_path_factory.mktemp("here"), {}, SHORT) as here:
        assert "http" not in here.send("here", down("www")).body()
