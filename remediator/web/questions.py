"""The console's page of approvals: the question, the evidence, and the two buttons beside it."""

from __future__ import annotations

from flask import Blueprint, abort, flash, redirect, render_template, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import Conflict

from remediator.model.holds import Answer
from remediator.service import Remediator
from remediator.web.access import person
from remediator.web.approvals import keep, open_questions
from remediator.web.texts import local_path


def routes(remediator: Remediator) -> Blueprint:
    """Make the pages of approvals."""
    routes = Blueprint("questions", __name__)

    @routes.get("/approvals")
    def page() -> ResponseReturnValue:
        lasts = remediator.policy().limits.approval_lasts
        return render_template("approvals.html", questions=open_questions(remediator), lasts=lasts)

    @routes.post("/approvals/<int:approval_id>")
    def answer(approval_id: int) -> ResponseReturnValue:
        verdict = request.form.get("verdict")
        if verdict not in (Answer.APPROVED, Answer.DENIED):
            abort(400, "approve or deny")
        try:
            kept = keep(remediator, approval_id, Answer(verdict), person() or "")
            flash(f"{kept.action.replace('_', ' ').capitalize()}: {verdict}.")
        except Conflict:
            flash("This was answered already, or is not asked any more: nothing was changed.")
        return redirect(local_path(request.form.get("back", ""), "/approvals"), 303)

    return routes
