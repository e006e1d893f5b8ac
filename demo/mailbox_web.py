"""The mailbox's page: the mails, newest first, and /api/mails for programs."""

from datetime import UTC, datetime
from html import escape

from aiohttp import web

from demo.mailbox import Mail, Mailbox

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; base-uri 'none'"
_MAIL_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60em;
margin:2em auto;padding:0 1em;color:#222;background:#fff}
table{border-collapse:collapse;width:100%}
td,th{text-align:left;padding:.4em .6em;border-bottom:1px solid #ddd}
pre{white-space:pre-wrap;background:#f6f6f6;padding:1em}
iframe{width:100%;height:30em;border:1px solid #ddd}
@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}a{color:#8bf}
pre{background:#242424}
td,th{border-color:#444}iframe{background:#fff}}
"""
_REFRESH_SECONDS = 3


def make_app(mailbox: Mailbox) -> web.Application:
    """Serve /, /mail/ID, /mail/ID/html, /api/mails?after=ID and /-/healthy."""
    pages, app = _Pages(mailbox), web.Application()
    app.router.add_get("/", pages.index)
    app.router.add_get(r"/mail/{id:\d+}", pages.one)
    app.router.add_get(r"/mail/{id:\d+}/html", pages.html)
    app.router.add_get("/api/mails", pages.api)
    app.router.add_get("/-/healthy", pages.healthy)
    return app


class _Pages:
    """The pages of one mailbox."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    async def index(self, _request: web.Request) -> web.Response:
        rows = "".join(_row(mail) for mail in self._mailbox.mails())
        if not rows:
            rows = (
                "<tr><td colspan=3>No mail yet: <code>./sitemedic demo bad-response</code> brings some.</tr>"
            )
        table = "<table><tr><th>received<th>to<th>subject</tr>" + rows + "</table>"
        return _page("Mailbox", table, refresh=True)

    async def one(self, request: web.Request) -> web.Response:
        mail = _find(self._mailbox, request)
        html = f'<h2>As HTML</h2><iframe sandbox src="/mail/{mail.id}/html" title="the mail"></iframe>'
        body = (
            f'<p><a href="/">all mails</a></p><p>From {escape(mail.sender)}<br>To '
            f"{escape(', '.join(mail.recipients))}<br>Received {_when(mail)}</p>"
            f"<pre>{escape(mail.text)}</pre>{html if mail.html else ''}"
        )
        return _page(mail.subject, body)

    async def html(self, request: web.Request) -> web.Response:
        mail = _find(self._mailbox, request)
        if mail.html is None:
            raise web.HTTPNotFound(text="this mail has no HTML\n")
        headers = {"Content-Security-Policy": _MAIL_POLICY, "X-Content-Type-Options": "nosniff"}
        return web.Response(text=mail.html, content_type="text/html", charset="utf-8", headers=headers)

    async def api(self, request: web.Request) -> web.Response:
        after = request.query.get("after", "0")
        if not after.isdigit():
            return web.json_response({"error": "after must be the id of a mail"}, status=400)
        return web.json_response({"mails": [mail.to_json() for mail in self._mailbox.mails(int(after))]})

    async def healthy(self, _request: web.Request) -> web.Response:
        return web.Response(text="ok\n")


def _find(mailbox: Mailbox, request: web.Request) -> Mail:
    mail = mailbox.mail(int(request.match_info["id"]))
    if mail is None:
        raise web.HTTPNotFound(text="no such mail\n")
    return mail


def _when(mail: Mail) -> str:
    return datetime.fromtimestamp(mail.received, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _row(mail: Mail) -> str:
    to = escape(", ".join(mail.recipients))
    return f'<tr><td>{_when(mail)}<td>{to}<td><a href="/mail/{mail.id}">{escape(mail.subject)}</a></tr>'


def _page(title: str, body: str, refresh: bool = False) -> web.Response:
    again = f'<meta http-equiv="refresh" content="{_REFRESH_SECONDS}">' if refresh else ""
    text = (
        f'<!doctype html><html lang="en"><meta charset="utf-8">{again}'
        f'<meta name="viewport" content="width=device-width"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style><h1>{escape(title)}</h1>{body}</html>\n"
    )
    headers = {"Content-Security-Policy": _POLICY, "X-Content-Type-Options": "nosniff"}
    return web.Response(text=text, content_type="text/html", charset="utf-8", headers=headers)
