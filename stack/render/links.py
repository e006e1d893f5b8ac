"""The links in mails: templates/links.tmpl with the addresses that the readers of mails can open."""

import json
from pathlib import Path

from stack.settings import Settings

_TEMPLATE = Path(__file__).parents[2] / "alertmanager" / "templates" / "links.tmpl"
_HINT = (
    "Links to 127.0.0.1 open on the machine that runs Sitemedic, and nowhere else: "
    "PUBLIC_URL in .env says where you reach it."
)


def links_template(settings: Settings) -> str:
    """Return what links.tmpl stands for, once for HTML and once for plain text.

    What listens on this machine only is linked to as long as nobody has said that people read their
    mails elsewhere.
    """
    elsewhere = settings.public_url is not None
    here = {name: f"http://127.0.0.1:{port}" for name, port in settings.published.items()}
    if settings.remediator.tls:
        here["remediator"] = here["remediator"].replace("http:", "https:", 1)
    grafana_runs = settings.target == "compose"
    words = {
        "@CONSOLE@": settings.public_url or here["remediator"],
        "@GRAFANA@": settings.grafana_url or (here["grafana"] if grafana_runs and not elsewhere else ""),
        "@ALERTMANAGER@": settings.alertmanager_url or ("" if elsewhere else here["alertmanager"]),
        "@HINT@": "" if elsewhere else _HINT,
    }
    text = _TEMPLATE.read_text(encoding="utf-8")
    for word, meaning in words.items():
        text = text.replace(word, json.dumps(meaning, ensure_ascii=False)[1:-1])
    return "".join(text.replace("@KIND@", kind) for kind in ("html", "text"))
