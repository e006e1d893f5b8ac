"""The remediator over HTTP: the webhook, the API, the console, and the public status page.

Nothing is open that does not stand in `access.OPEN`.
"""

from __future__ import annotations

from pathlib import Path

from flask import Flask

from remediator.intake.alerts import MAX_BODY
from remediator.service import Remediator
from remediator.web import (
    access,
    answers,
    approvals,
    containers,
    gate,
    incidents,
    operations,
    pages,
    pauses,
    questions,
    readiness,
    shell,
    sign_in,
    status,
    webhook,
)

__all__ = ["create_app"]

TEMPLATES = Path(__file__).resolve().parent.parent / "templates"


def create_app(remediator: Remediator) -> Flask:
    """Make the WSGI application of a remediator."""
    app = Flask(__name__, static_folder=None, template_folder=str(TEMPLATES))
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    app.config["MAX_FORM_MEMORY_SIZE"] = 64 * 1024
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    gate.register(app, remediator)
    sign_in.configure(app, remediator.settings)
    access.guard(app, remediator.settings)
    answers.register(app)
    shell.register(app, remediator)
    for routes in (
        webhook.routes(remediator),
        operations.routes(remediator),
        incidents.routes(remediator),
        pauses.routes(remediator),
        approvals.routes(remediator),
        readiness.routes(remediator),
        sign_in.routes(remediator),
        pages.routes(remediator),
        containers.routes(remediator),
        questions.routes(remediator),
        status.routes(remediator),
    ):
        app.register_blueprint(routes)
    return app
