"""The exporter's list of sites, read piece by piece."""

import json

import pytest

from remediator.errors import ExporterError
from remediator.exporter_client import ExporterClient
from tests.remediator.doubles import served

SITES = [{"site": "www", "success": False, "reason": "status"}, {"site": "a, ]} b", "success": None}, {}]


def sites_of(answer: str, status: int = 200):
    with served(lambda _path, _query, _body: (status, answer)) as url:
        return ExporterClient(url).sites()


@pytest.mark.parametrize("indent", [None, 2])
def test_every_site_is_read_however_it_is_written(indent):
    found = sites_of(json.dumps({"sites": SITES}, indent=indent) + "\n")
    assert [(one.site, one.success) for one in found.values()] == [("www", False), ("a, ]} b", None)]
    assert found.failing == {"www"}


def test_no_sites_are_no_fault():
    assert sites_of('{"sites": []}') == {}


@pytest.mark.parametrize(
    "answer",
    [
        "", "{}", "[]", '{"sites": null}', '{"sites": [', '{"sites": [{}', '{"sites": [{}}', '{"sites": [{}]',
        '{"sites": [{} {}]}', '{"sites": [{},]}', '{"sites": [,]}', '{"sites": [1]}', '{"sites": [{}]} more',
        '{"sites": [{"site": "a"}', '{"sites": [' + '{"a":' * 50_000, "\ud800",
    ],
)  # fmt: skip
def test_anything_else_is_an_error_and_never_a_shorter_list(answer):
    with pytest.raises(ExporterError):
        sites_of(answer.encode("utf-8", "surrogatepass").decode("latin-1"))


def test_an_answer_that_is_no_200_is_an_error():
    with pytest.raises(ExporterError, match="503"):
        sites_of(json.dumps({"sites": SITES}), 503)
