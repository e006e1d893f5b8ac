"""Make readable messages of Alertmanager's JSON in ntfy: its templates stand in the address.

https://docs.ntfy.sh/publish/#message-templating. They need ntfy 2.10. Only Go's own functions are used,
since ntfy has others from 2.14 on; `\\n` is its word for a new line.
"""

from urllib.parse import urlencode

MOST_ALERTS = 10
"""In one post: ntfy applies its templates to a body of 32 kB at most."""

_TITLE = (
    '{{$status := .status}}{{$first := ""}}{{range .alerts}}{{if and (not $first) (eq .status $status)}}'
    "{{$first = or .annotations.summary .labels.alertname}}{{end}}{{end}}"
    '{{if eq .status "resolved"}}Over: {{end}}{{$first}}'
    "{{if gt (len .alerts) 1}} ({{len .alerts}} alerts){{end}}"
)
_MESSAGE = (
    '{{range .alerts}}{{if eq .status "resolved"}}Over: {{end}}{{or .annotations.summary .labels.alertname}}'
    "{{with .annotations.since}}, since {{.}}{{end}}"
    "{{with .annotations.healing}}\\n{{.}}{{end}}\\n{{end}}"
    "{{if .truncatedAlerts}}… and {{.truncatedAlerts}} more{{end}}"
)


def ntfy_url(topic: str, public_url: str | None) -> str:
    """Return the address of a topic together with its templates, and where a tap on the message leads."""
    words = {"template": "yes", "title": _TITLE, "message": _MESSAGE}
    return f"{topic.rstrip('/')}?{urlencode(words | ({'click': public_url} if public_url else {}))}"
