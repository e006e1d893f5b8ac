"""What the console says of containers: what the exporter tells, and that it is unknown where it does not."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from remediator.clients.exporter import ExporterClient
from remediator.errors import ExporterError
from tests.remediator.console_scene import containers, scene
from tests.remediator.doubles import HOSTILE, Lab, served
from tests.signing_in import sign_in


@pytest.fixture
def shown(tmp_path: Path) -> Iterator[Lab]:
    with scene(tmp_path) as found:
        sign_in(found.client)
        yield found


def text_of(page: str) -> str:
    """Return a page's text as it is read, without its tags."""
    words = page.replace("<", "\0<").replace(">", ">\0").split("\0")
    return " ".join(" ".join(word for word in words if not word.startswith("<")).split())


def row_of(lab: Lab, site: str) -> str:
    """Return the site's row on the first page."""
    rows = lab.client.get("/").text.partition('class="rows sites"')[2].split("<li>")
    (row,) = (one for one in rows if f">{site}</a>" in one)
    return text_of(row)


def test_the_list_of_sites_tells_the_state_of_each_ones_container(shown: Lab) -> None:
    assert "container exited" in row_of(shown, "shop")
    assert "container unhealthy" in row_of(shown, "shop/api")
    assert "container running" in row_of(shown, "www")
    assert "container absent" in row_of(shown, "wiki")
    assert "container unknown" in row_of(shown, "tickets"), "nothing is told of it"
    assert "container" not in row_of(shown, "blog"), "it has none"


def test_a_site_tells_how_its_container_ended_and_what_it_uses(shown: Lab) -> None:
    ended = text_of(shown.client.get("/site?name=shop").text)
    assert "Container shop-web-1 on web-1: exited with 137, killed for want of memory, since" in ended
    assert "(2 restarts)" in ended
    runs = text_of(shown.client.get("/site?name=www").text)
    assert "Container nginx on web-1: running" in runs
    assert "0.04 cores, 96 MiB of 512 MiB" in runs


def test_what_an_engine_told_before_it_fell_silent_is_said_to_be_of_then(shown: Lab) -> None:
    page = text_of(shown.client.get("/site?name=shop/redis").text)
    assert "Container redis on db-1: running" in page
    assert "As it last was: the Docker engine of db-1 cannot be asked (refused)" in page


def test_an_open_incident_shows_its_container_now_beside_the_evidence_and_a_closed_one_does_not(
    shown: Lab,
) -> None:
    evidence = text_of(shown.client.get("/incidents/1").text.partition("<h2>Evidence</h2>")[2])
    assert evidence.startswith("Now: Container shop-web-1 on web-1: exited with 137")
    assert "FATAL: cannot allocate" in evidence
    assert "Container nginx" not in text_of(shown.client.get("/incidents/2").text)


def test_the_page_of_containers_goes_by_server_with_what_is_not_well_first(shown: Lab) -> None:
    page = shown.client.get("/containers").text
    assert "3 of 6 containers not well" in page
    assert "1 engine cannot be asked" in page
    assert "add the user medic to the group docker there" in page
    names = [one.partition("<")[0] for one in page.split('<span class="name">')[1:]]
    assert names == ["wiki", "redis", "shop-api-1", "shop-web-1", "nginx", "worker"]
    assert page.index("<h2>db-1</h2>") < page.index("<h2>web-1</h2>")


def test_containers_are_found_by_name_server_image_or_site(shown: Lab) -> None:
    def found(words: str) -> int:
        return shown.client.get("/containers", query_string={"q": words}).text.count('<span class="name">')

    assert [found(words) for words in ("NGINX", "web-1", "acme/", "shop/api", "\0", "no such")] == [
        1, 4, 6, 1, 6, 0,
    ]  # fmt: skip


def test_many_containers_come_page_by_page(shown: Lab) -> None:
    one = {"server": "web-1", "state": "running", "up": True}
    many = [{**one, "name": f"c{number:03d}"} for number in range(230)]
    shown.exporter.containers = {"servers": {}, "containers": many}
    first, last = (shown.client.get(f"/containers?page={page}").text for page in (1, 99))
    assert "All 230 containers run" in first
    assert [page.count('<span class="name">') for page in (first, last)] == [100, 30]
    assert "Page 3 of 3" in last


def test_an_exporter_without_containers_is_no_error(shown: Lab) -> None:
    shown.exporter.containers = None
    assert "container unknown" in row_of(shown, "www")
    assert "Container: unknown" in text_of(shown.client.get("/site?name=www").text)
    assert "Container" not in text_of(shown.client.get("/incidents/1").text.partition("<h2>Evidence</h2>")[2])
    assert "No container is watched" in shown.client.get("/containers").text


def test_an_engine_that_was_not_asked_yet_is_not_said_to_be_silent(shown: Lab) -> None:
    servers = {"web-1": {"up": None, "reason": None, "message": "", "last_success": None}}
    shown.exporter.containers = {"servers": servers, "containers": []}
    page = shown.client.get("/containers").text
    assert "No container is watched" in page
    assert "cannot be asked" not in page


def test_an_exporter_that_is_gone_is_no_error(shown: Lab) -> None:
    shown.exporter.gone = True
    assert "The exporter does not answer" in shown.client.get("/containers").text
    assert "Container: unknown" in text_of(shown.client.get("/site?name=www").text)
    for path in ("/", "/incidents/1"):
        assert shown.client.get(path).status_code == 200


@pytest.mark.parametrize(
    "told",
    [
        {"servers": [], "containers": []},
        {"servers": {}, "containers": None},
        {},
        {"servers": {}, "containers": [{"name": "x", "restarts": 1e400}]},
    ],
)
def test_an_answer_that_is_none_is_no_error_either(shown: Lab, told: dict[str, Any]) -> None:
    shown.exporter.containers = told
    assert "container unknown" in row_of(shown, "www")


@pytest.mark.parametrize("status", [500, 401])
def test_a_status_that_is_none_of_an_answer_is_the_exporters_fault(status: int) -> None:
    with (
        served(lambda _path, _query, _body: (status, "{}")) as url,
        pytest.raises(ExporterError, match=f"{status}"),
    ):
        ExporterClient(url).containers()


def test_what_containers_are_called_is_text_and_nothing_else(shown: Lab) -> None:
    told = containers()
    for one in told["containers"]:
        one |= {"name": HOSTILE, "image": HOSTILE, "state": HOSTILE, "health": HOSTILE}
    told["servers"]["db-1"] |= {"reason": HOSTILE, "message": HOSTILE}
    shown.exporter.containers = told
    for path in ("/", "/containers", "/site?name=shop", "/incidents/1"):
        assert HOSTILE not in shown.client.get(path).text
