"""The links in mails, as a template: Alertmanager's templates cannot ask for PUBLIC_URL themselves."""

import html

from stack.settings import Settings


def links_template(settings: Settings) -> str:
    """Return a template file that defines `sitemedic.console.text` and `.html`, empty without PUBLIC_URL."""
    text = markup = ""
    if settings.public_url:
        text = f"Console: {settings.public_url}/\n"
        markup = f'<a href="{html.escape(settings.public_url)}/">Console</a> '
    return (
        f'{{{{ define "sitemedic.console.text" }}}}{text}{{{{ end }}}}\n'
        f'{{{{ define "sitemedic.console.html" }}}}{markup}{{{{ end }}}}\n'
    )
