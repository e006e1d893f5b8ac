"""Which addresses the links in mails lead to."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from stack.render.links import links_template
from stack.settings import Target, load_settings

HERE = {"console": "http://127.0.0.1:9096", "silence": "http://127.0.0.1:9093", "hint": "PUBLIC_URL in .env"}
PUBLIC = {"PUBLIC_URL": "https://status.example/"}


def led_to(folder: Path, environ: Mapping[str, str], target: Target) -> dict[str, str]:
    text = links_template(load_settings(environ, folder, target))
    for kind in ("html", "text"):
        assert f'define "sitemedic.links.{kind}"' in text
    assert not re.search("@[A-Z]+@", text)
    known = {
        "console": ("http://127.0.0.1:9096", "http://127.0.0.1:9996", "https://status.example"),
        "dashboard": ("http://127.0.0.1:3000", "https://grafana.example"),
        "silence": ("http://127.0.0.1:9093", "https://alerts.example"),
        "hint": ("PUBLIC_URL in .env",),
    }
    return {
        name: address
        for name, addresses in known.items()
        for address in addresses
        if f'"{address}"' in text or f'"{address}/' in text or (name == "hint" and address in text)
    }


@pytest.mark.parametrize(
    ("target", "environ", "expected"),
    [
        ("local", {}, HERE),
        ("compose", {}, HERE | {"dashboard": "http://127.0.0.1:3000"}),
        (
            "compose",
            {"REMEDIATOR_PORT": "9996"},
            HERE | {"console": "http://127.0.0.1:9996", "dashboard": "http://127.0.0.1:3000"},
        ),
        (
            "local",
            {"GRAFANA_URL": "https://grafana.example"},
            HERE | {"dashboard": "https://grafana.example"},
        ),
        # What listens on this machine only is nothing for people elsewhere.
        ("local", PUBLIC, {"console": "https://status.example"}),
        ("compose", PUBLIC, {"console": "https://status.example"}),
        (
            "compose",
            {
                **PUBLIC,
                "GRAFANA_URL": "https://grafana.example",
                "ALERTMANAGER_URL": "https://alerts.example",
            },
            {
                "console": "https://status.example",
                "dashboard": "https://grafana.example",
                "silence": "https://alerts.example",
            },
        ),
    ],
)
def test_a_link_is_there_for_what_the_reader_can_reach(
    tmp_path: Path, target: Target, environ: dict[str, str], expected: dict[str, str]
) -> None:
    assert led_to(tmp_path, environ, target) == expected
