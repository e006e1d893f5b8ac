"""The API, the metrics and the reload."""

from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from remediator.metrics import KNOWN_DECISIONS
from remediator.model.incident import Verb
from tests.remediator.doubles import API, SITES, Lab, lab
from tests.waiting import until


def test_what_is_not_there_is_a_404(idle: Lab) -> None:
    for path in ("incidents/99", f"incidents/{10**30}", "nowhere"):
        assert idle.client.get(f"/api/v1/{path}", headers=API).status_code == 404
    answer = idle.client.post(
        f"/api/v1/approvals/{10**30}", json={"verdict": "denied", "by": "x"}, headers=API
    )
    assert (answer.status_code, answer.json) == (
        404,
        {"error": "no such question: ./sitemedic approvals shows what is asked"},
    )


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'{"scope": "site:nowhere"}',
        b'{"scope": "everything"}',
        b'{"scope": 3}',
        b'{"scope": "all", "by": "a\\u0000b"}',
        b'{"scope": "all", "by": "\\ud800"}',
        b'{"scope": "all", "reason": "two\\nlines"}',
        b'{"scope": "all", "for": "a while"}',
        b'{"scope": "all", "for": 0}',
        b'{"scope": "all", "for": "400d"}',
        b'{"scope": "all", "for": [1]}',
        b'{"scope": "all", "for": true}',
        b"\xff",
        b"[" * 90_000,
    ],
)
def test_a_pause_of_nothing_known_is_refused(idle: Lab, body: bytes) -> None:
    assert idle.client.post("/api/v1/pause", data=body, headers=API).status_code == 400
    assert idle.client.get("/api/v1/pause", headers=API).json == {"pauses": []}


@pytest.mark.parametrize("method", ["post", "delete"])
def test_a_pause_needs_the_token_of_the_api(idle: Lab, method: str) -> None:
    call = getattr(idle.client, method)
    assert call("/api/v1/pause", json={"scope": "all"}).status_code == 401
    assert call("/api/v1/pause", headers={"Authorization": "Bearer webhook-token"}).status_code == 401


def test_a_pause_survives_a_restart_and_says_who_and_why(tmp_path: Path) -> None:
    with lab(tmp_path, start=False) as first:
        first.client.post(
            "/api/v1/pause", json={"scope": "site:www", "by": "ann", "reason": "move"}, headers=API
        )
    with lab(tmp_path, start=False) as second:
        (pause,) = second.client.get("/api/v1/pause", headers=API).json["pauses"]
        assert (pause["scope"], pause["by"], pause["reason"]) == ("site:www", "ann", "move")
        assert (
            second.client.delete("/api/v1/pause", json={"scope": "site:www"}, headers=API).status_code == 200
        )
        assert (
            second.client.delete("/api/v1/pause", json={"scope": "site:www"}, headers=API).status_code == 404
        )


def test_every_known_label_value_is_there_from_the_start(idle: Lab) -> None:
    families = {one.name: one for one in text_string_to_metric_families(idle.client.get("/metrics").text)}
    decided = {
        (one.labels["decision"], one.labels["reason"])
        for one in families["sitemedic_decisions"].samples
        if one.name.endswith("_total")
    }
    assert decided == {(str(verb), str(why)) for verb, reasons in KNOWN_DECISIONS.items() for why in reasons}
    assert set(KNOWN_DECISIONS) == set(Verb)
    assert {one.labels["state"] for one in families["sitemedic_incidents_open"].samples} >= {
        "open",
        "needs_human",
    }


def test_no_secret_is_seen_in_metrics_pages_or_settings(idle: Lab) -> None:
    seen = idle.client.get("/metrics").text + idle.client.get("/login").text + repr(idle.remediator.settings)
    assert "webhook-token" not in seen
    assert "api-token" not in seen


def test_a_faulty_file_is_refused_whole_and_the_old_one_stays(idle: Lab) -> None:
    idle.sites_file.write_text(SITES.replace("container: nginx", "contaner: nginx"))
    answer = idle.client.post("/-/reload", headers=API)
    assert answer.status_code == 500
    assert "contaner" in answer.text
    assert idle.remediator.policy().sites["www"].target is not None
    idle.sites_file.write_text(SITES.replace("container: nginx", "container: caddy"))
    assert idle.client.post("/-/reload").status_code == 401
    assert idle.client.post("/-/reload", headers=API).status_code == 200
    assert idle.remediator.policy().sites["www"].target.label == "caddy"  # type: ignore[union-attr]


def test_a_changed_file_is_taken_by_itself(at_work: Lab) -> None:
    at_work.sites_file.write_text(SITES.replace("container: nginx", "container: caddy"))
    until(lambda: at_work.remediator.policy().sites["www"].target.label == "caddy", 5, "the new file")  # type: ignore[union-attr]


def breaks() -> None:
    raise RuntimeError("nobody thought of this")


def test_a_reload_that_fails_for_a_fault_of_ours_says_so_and_keeps_the_old_file(
    idle: Lab, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(idle.remediator, "_load", breaks)
        answer = idle.client.post("/-/reload", headers=API)
    assert answer.status_code == 500
    assert answer.text.startswith("sites.yml: could not be taken for a fault of Sitemedic itself")
    assert "nobody thought of this" not in answer.text
    assert "nobody thought of this" in caplog.text
    assert idle.metric("sitemedic_remediator_config_last_reload_successful") == 0
    assert idle.remediator.policy().sites["www"].target is not None
    assert idle.client.post("/-/reload", headers=API).status_code == 200
    assert idle.metric("sitemedic_remediator_config_last_reload_successful") == 1


def test_a_fault_that_nobody_thought_of_ends_no_watching_of_the_file(
    at_work: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(at_work.remediator, "_load", breaks)
        at_work.sites_file.write_text(SITES.replace("container: nginx", "container: apache"))
        until(
            lambda: at_work.metric("sitemedic_remediator_config_last_reload_successful") == 0, 30, "the fault"
        )
    test_a_changed_file_is_taken_by_itself(at_work)


def test_ready_says_no_when_the_reconciler_has_stopped(idle: Lab) -> None:
    assert idle.client.get("/-/ready").status_code == 200
    idle.remediator.reconciler.alive_at -= 100
    assert idle.client.get("/-/ready").status_code == 503
    assert idle.client.get("/-/healthy").status_code == 200
