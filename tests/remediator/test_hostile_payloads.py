"""Ten thousand ways to bend a real notification: each is taken or refused with a reason, and none acts."""

import copy
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from tests.remediator.doubles import WEBHOOK, Lab, lab
from tests.waiting import until

URL = "/webhook/alertmanager"
SHELL = "$(touch /tmp/x) `id` ; | & > < * ? ~ ! # ' \" \\ \n\r\t\x00 ${IFS} {a,b} %s ../../etc/passwd -rf"
STRINGS = (
    SHELL,
    "",
    " ",
    "www",
    "WWW",
    "www/",
    "../www",
    "www\x00",
    "\u202ewww",
    "é" * 5000,
    "<script>",
    "{{.Site}}",
    "' OR 1=1 --",
    "A" * 70_000,
    "\ud800",
    "🜚",
    "null",
    "firing",
    "resolved",
    "SiteDown",
    "4",
    "-1",
    "1e999",
)
VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    2**63,
    2**70,
    10**400,
    1.5,
    1e308,
    float("nan"),
    float("inf"),
    [],
    {},
    [[]],
    {"": ""},
    [None] * 50,
    *STRINGS,
)


def notification() -> dict[str, Any]:
    """Return what Alertmanager 0.25 posted for two sites and an alert of its own, as it came."""

    def alert(site: str, status: str) -> dict[str, Any]:
        labels = {
            "alertname": "SiteDown",
            "site": site,
            "instance": f"http://{site}/",
            "outage": f"site:{site}",
            "part_of": site,
            "severity": "critical",
            "server": "web",
        }
        return {
            "status": status,
            "labels": labels,
            "annotations": {"summary": f"{site}: down", "reason": "status"},
            "startsAt": "2026-11-21T08:00:00.123Z",
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "http://prometheus/graph?g0.expr=up",
            "fingerprint": "c0ffee",
        }

    alerts = [alert("www", "firing"), alert("blog", "resolved"), alert("stranger", "firing")]
    return {
        "receiver": "remediator",
        "status": "firing",
        "alerts": alerts,
        "groupLabels": {"outage": "site:www"},
        "commonLabels": {"severity": "critical"},
        "commonAnnotations": {},
        "externalURL": "http://am",
        "version": "4",
        "groupKey": '{}/{severity="critical"}:{outage="site:www"}',
        "truncatedAlerts": 0,
    }


def places(node: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the way to everything in a document."""
    below = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [above, *(place for key, value in below for place in places(value, (*above, key)))]


def bent(dice: random.Random) -> dict[str, Any] | Any:
    """Change up to three places of a notification: another value, another key, gone, doubled, or nested."""
    whole: dict[str, Any] = notification()
    for _ in range(dice.randint(1, 3)):
        *way, last = dice.choice([place for place in places(whole) if place])
        node: Any = whole
        for key in way:
            node = node[key]
        how = dice.randrange(6)
        if how == 0:
            del node[last]
        elif how == 1 and isinstance(node, dict):
            node[dice.choice(STRINGS)] = node.pop(last)
        elif how == 2 and isinstance(node, list):
            node.extend([node[last]] * dice.randint(1, 40))
        elif how == 3:
            for _ in range(dice.choice((1, 3, 30))):
                node[last] = [node[last]] if dice.random() < 0.5 else {"x": node[last]}
        else:
            node[last] = copy.deepcopy(dice.choice(VALUES))
    return whole


def mangled(body: bytes, dice: random.Random) -> bytes:
    """Damage a body as bytes: cut, flipped, doubled, in another encoding, nested without end."""
    how = dice.randrange(9)
    if how == 0:
        return body[: dice.randrange(len(body) + 1)]
    if how == 1:
        at = dice.randrange(max(1, len(body)))
        return body[:at] + bytes([dice.randrange(256)]) + body[at + 1 :]
    if how == 2:
        return body + body
    if how == 3:
        return b"\xef\xbb\xbf" + body
    if how == 4:
        return body.decode("utf-8", "replace").encode("utf-16")
    if how == 5:
        return dice.randbytes(dice.randrange(200))
    if how == 6:
        deep = dice.choice((100, 100_000))
        return b'{"version": "4", "alerts": ' + b"[" * deep + b"]" * deep + b"}"
    if how == 7:
        return body.replace(b'"www"', b'"www", "site": "shop"', 1)
    return body.replace(b'"alerts"', b'"status": "resolved", "alerts"', 1)


def bodies(count: int, seed: int) -> list[bytes]:
    dice = random.Random(seed)
    found = []
    for _ in range(count):
        body = json.dumps(bent(dice)).encode()
        found.append(mangled(body, dice) if dice.random() < 0.3 else body)
    return found


@pytest.mark.timeout(900)
@pytest.mark.parametrize("count", [500, pytest.param(10_000, marks=pytest.mark.full)])
def test_a_bent_notification_is_taken_or_refused_with_a_reason_and_never_acts(
    tmp_path: Path, count: int
) -> None:
    with lab(tmp_path, start=False) as at_work:
        answers: Counter[int] = Counter()
        for body in bodies(count, seed=count):
            answer = at_work.client.post(URL, data=body, headers=WEBHOOK)
            answers[answer.status_code] += 1
            assert answer.status_code in (200, 400, 413), (answer.status_code, body[:500])
            assert answer.status_code == 200 or answer.json["error"], body[:500]
        assert min(answers[200], answers[400]) > count / 20, answers
        assert stored(at_work, "SELECT count(*) FROM notifications") == [answers[200]]
        opened = set(stored(at_work, "SELECT site FROM incidents"))
        assert opened <= {"www", "shop", "blog", "wiki", "docs"}
        assert {"www"} <= opened
        assert not at_work.exporter.probes
        at_work.remediator.start()
        for site in opened:
            until(lambda site=site: at_work.incidents(site)[0]["state"] == "recovered", 20, site)  # type: ignore[misc]
        assert at_work.ledger.lines() == []


def stored(at_work: Lab, query: str) -> list[Any]:
    with at_work.remediator.store.read() as connection:
        return list(connection.execute(text(query)).scalars())
