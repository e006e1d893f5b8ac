"""Render a sites.yml for a test, as the launcher does."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from core.sites import Document, load
from stack.parts import PARTS
from stack.render import Rendered, render
from stack.settings import Settings, Target, load_settings

MAIL = {
    "SMTP_HOST": "127.0.0.1",
    "SMTP_PORT": "2525",
    "SMTP_TLS": "none",
    "SMTP_FROM": "Sitemedic <medic@acme.example>",
}


@dataclass(frozen=True)
class Output:
    """What was rendered, read back."""

    document: Document
    settings: Settings
    rendered: Rendered
    prometheus: dict[str, Any]
    alertmanager: dict[str, Any]

    def receiver(self, name: str) -> dict[str, Any]:
        """Return the receiver of that name."""
        (found,) = (receiver for receiver in self.alertmanager["receivers"] if receiver["name"] == name)
        assert isinstance(found, dict)
        return found


def rendered_from(
    folder: Path, sites: str, environ: Mapping[str, str] | None = None, target: Target = "local"
) -> Output:
    """Render `sites` (the text of a sites.yml) below `folder`, with mail unless `environ` says otherwise."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sites.yml").write_text(sites, encoding="utf-8")
    document = load(folder / "sites.yml", PARTS)
    settings = load_settings(MAIL if environ is None else environ, folder / "data", target)
    done = render(document, settings, folder / "rendered")
    return Output(
        document,
        settings,
        done,
        yaml.safe_load(done.prometheus.read_text("utf-8")),
        yaml.safe_load(done.alertmanager.read_text("utf-8")),
    )
