import json
import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from core.secrets import Secret
from demo.linode_api import SCOPES, create_app
from demo.linode_faults import FAULTS, STATUSES, Faults
from demo.linode_state import Account
from tests.waiting import until

DESCRIPTION = json.loads((Path(__file__).parent / "data/linode-openapi-subset.json").read_text())
TOKEN, LINODE = "t", 101


def as_json_schema(node: Any) -> Any:
    """Turn OpenAPI 3.0's `nullable` into JSON Schema."""
    if isinstance(node, list):
        return [as_json_schema(one) for one in node]
    if not isinstance(node, dict):
        return node
    turned = {key: as_json_schema(value) for key, value in node.items() if key not in ("nullable", "format")}
    return {"anyOf": [turned, {"type": "null"}]} if node.get("nullable") else turned


class Checked:
    """A client that holds every answer to Linode's description."""

    def __init__(self, client: FlaskClient, token: str = TOKEN) -> None:
        self.client = client
        self.headers = {"Authorization": f"Bearer {token}"}

    def call(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, **kw: Any
    ) -> TestResponse:
        answer = self.client.open(
            f"/v4{path}", method=method, headers={**self.headers, **(headers or {})}, **kw
        )
        responses = self._operation(method, path.partition("?")[0])["responses"]
        schema = responses.get(str(answer.status_code), responses["default"])["schema"]
        jsonschema.validate(answer.get_json(), as_json_schema(schema))
        return answer

    def get(self, path: str, wanted: Mapping[str, Any] | None = None) -> Any:
        headers = {"X-Filter": json.dumps(wanted)} if wanted is not None else {}
        answer = self.call("GET", path, headers)
        assert answer.status_code == 200, answer.text
        return answer.get_json()

    @staticmethod
    def _operation(method: str, path: str) -> Any:
        for template, operations in DESCRIPTION["paths"].items():
            if re.fullmatch(re.sub(r"{\w+}", r"[^/]+", template), path) and method.lower() in operations:
                return operations[method.lower()]
        raise AssertionError(f"Linode has no {method} {path}")


@pytest.fixture
def account() -> Account:
    return Account({LINODE: "web-1", 102: "db-1"}, job_seconds=1)


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
def api(account: Account, faults: Faults) -> Checked:
    tokens = {TOKEN: SCOPES, "reads": frozenset({"linodes:read_only"}), "all": frozenset({"*"})}
    return Checked(create_app(account, tokens, Secret("control"), faults).test_client())


def reboot(api: Checked) -> TestResponse:
    return api.call("POST", f"/linode/instances/{LINODE}/reboot", json={})


def test_every_answer_has_linodes_shape(api: Checked) -> None:
    assert reboot(api).get_json() == {}
    for path in ("/linode/instances", f"/linode/instances/{LINODE}", "/profile", "/account/events"):
        api.get(path)
    api.get(f"/account/events/{api.get('/account/events')['data'][0]['id']}")


def test_times_are_in_whole_seconds_of_utc(api: Checked) -> None:
    reboot(api)
    datetime.strptime(api.get("/account/events")["data"][0]["created"], "%Y-%m-%dT%H:%M:%S")  # noqa: DTZ007


def test_a_reboot_goes_from_running_through_rebooting_to_running(api: Checked) -> None:
    def status() -> Any:
        return api.get(f"/linode/instances/{LINODE}")["status"]

    def event() -> Any:
        return api.get("/account/events")["data"][0]

    assert status() == "running"
    reboot(api)
    assert status() == "rebooting"
    assert (event()["action"], event()["status"] in ("scheduled", "started")) == ("linode_reboot", True)
    until(lambda: event()["status"] == "finished", 5, "the reboot")
    assert status() == "running"


def test_a_busy_linode_takes_no_second_job(api: Checked) -> None:
    reboot(api)
    answer = reboot(api)
    assert (answer.status_code, answer.get_json()) == (400, {"errors": [{"reason": "Linode busy."}]})
    assert api.get("/account/events")["results"] == 1


def test_shutdown_and_boot_leave_it_off_and_on(api: Checked) -> None:
    for word, status in (("shutdown", "offline"), ("boot", "running")):
        assert api.call("POST", f"/linode/instances/{LINODE}/{word}", json={}).status_code == 200

        def there(wanted: str = status) -> bool:
            return bool(api.get(f"/linode/instances/{LINODE}")["status"] == wanted)

        until(there, 5, status)


def test_a_boot_is_for_a_linode_that_is_off_and_has_faults_of_its_own(
    api: Checked, account: Account, faults: Faults
) -> None:
    def boot() -> TestResponse:
        return api.call("POST", f"/linode/instances/{LINODE}/boot", json={})

    assert boot().get_json() == {"errors": [{"reason": "Linode busy."}]}
    account.set_status(LINODE, "offline")
    faults.order("502", on="boot", times=1)
    assert (boot().status_code, account.instance(LINODE)["status"]) == (502, "offline")
    assert boot().status_code == 200
    assert account.instance(LINODE)["status"] == "booting"
    assert (faults.posts, faults.accepted) == (3, 1)


def test_ids_of_events_only_grow(api: Checked, account: Account) -> None:
    ids = [account.add_event(LINODE, "lassie_reboot", "finished", None) for _ in range(3)]
    assert ids == sorted(set(ids))


def test_power_that_does_not_obey_fails_the_event(faults: Faults) -> None:
    def dead(linode_id: int, action: str) -> None:
        raise OSError("no power")

    account = Account({LINODE: "web-1"}, dead, job_seconds=5)
    api = Checked(create_app(account, {TOKEN: SCOPES}, None, faults).test_client())
    reboot(api)
    until(lambda: api.get("/account/events")["data"][0]["status"] == "failed", 5, "the failure")


def test_a_filter_picks_newer_events_of_one_linode(api: Checked, account: Account) -> None:
    ids = [account.add_event(LINODE, "linode_reboot", "finished", "medic") for _ in range(3)]
    account.add_event(102, "linode_reboot", "finished", "medic")
    wanted = {"entity.id": LINODE, "entity.type": "linode", "id": {"+gt": ids[0]}, "+order_by": "id"}
    assert [one["id"] for one in api.get("/account/events", wanted)["data"]] == ids[1:]
    newest = api.get("/account/events", {**wanted, "+order": "desc"})["data"]
    assert [one["id"] for one in newest] == ids[:0:-1]
    either = {"+or": [{"id": ids[0]}, {"id": ids[2]}]}
    assert api.get("/account/events", either)["results"] == 2


@pytest.mark.parametrize(
    "header", ['{"status": "finished"}', "{", "[]", '{"id": {"+near": 1}}', '{"id": {"+gt": "x"}}']
)
def test_a_filter_that_linode_does_not_know_is_refused(api: Checked, account: Account, header: str) -> None:
    account.add_event(LINODE, "linode_reboot", "finished", None)
    assert api.call("GET", "/account/events", {"X-Filter": header}).status_code == 400


def test_events_come_in_pages(api: Checked, account: Account) -> None:
    for _ in range(60):
        account.add_event(LINODE, "linode_reboot", "finished", None)
    third = api.get("/account/events?page_size=25&page=3")
    assert (len(third["data"]), third["pages"], third["results"]) == (10, 3, 60)
    for query in ("page_size=5", "page_size=501", "page=9", "page=x"):
        assert api.call("GET", f"/account/events?{query}").status_code == 400


def test_a_token_is_needed_and_its_scopes_are_kept(api: Checked) -> None:
    path = f"/linode/instances/{LINODE}/reboot"
    for token, status in (("wrong", 401), ("reads", 403), ("all", 200)):
        answer = api.call("POST", path, {"Authorization": f"Bearer {token}"}, json={})
        assert answer.status_code == status
    assert api.call("GET", "/account/events", {"Authorization": "Bearer reads"}).status_code == 403


def test_an_unknown_linode_is_not_found(api: Checked) -> None:
    assert api.call("POST", "/linode/instances/9/reboot", json={}).status_code == 404
    assert api.call("GET", "/linode/instances/9").status_code == 404


@pytest.mark.parametrize("kind", sorted(STATUSES | {"busy", "429"}))
def test_a_refusing_fault_has_linodes_shape_and_does_nothing(api: Checked, faults: Faults, kind: str) -> None:
    faults.order(kind, times=1)
    assert reboot(api).status_code >= 400
    assert (faults.posts, faults.accepted, api.get("/account/events")["results"]) == (1, 0, 0)
    assert reboot(api).status_code == 200


def test_a_fault_for_all_calls_meets_reads_too(api: Checked, faults: Faults) -> None:
    faults.order("503", on="all")
    assert api.call("GET", "/profile").status_code == 503
    faults.clear()
    assert api.call("GET", "/profile").status_code == 200


def test_the_control_takes_orders_from_who_has_its_token_only(api: Checked, faults: Faults) -> None:
    control = {"Authorization": "Bearer control"}
    assert api.client.post("/control/fault", json={"kind": "busy"}).status_code == 401
    assert api.client.post("/control/fault", json={"kind": "busy"}, headers=control).status_code == 200
    assert reboot(api).status_code == 400
    assert api.client.delete("/control/fault", headers=control).status_code == 200
    assert api.client.post("/control/fault", json={"kind": "no"}, headers=control).status_code == 400
    assert api.client.post("/control/fault", data="x", headers=control).status_code == 400
    order = {"linode": LINODE, "action": "host_reboot", "status": "started"}
    assert api.client.post("/control/event", json=order, headers=control).status_code == 200
    order = {"linode": LINODE, "status": "migrating"}
    assert api.client.post("/control/status", json=order, headers=control).status_code == 200
    state = api.client.get("/control/state", headers=control).get_json()
    assert (state["posts"], state["accepted"], len(state["events"])) == (1, 0, 1)


def test_every_fault_can_be_ordered(faults: Faults) -> None:
    for kind in FAULTS | STATUSES:
        faults.order(kind)
