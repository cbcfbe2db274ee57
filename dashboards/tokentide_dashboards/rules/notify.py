"""Who is notified of alerts: contact points, the policy by severity, mute times, and the message.

The environment of Grafana names all of it; without it there is no receiver. Every
variable must be set: Grafana puts nothing in the place of one that is not, and a contact point
without its address keeps it from starting. `ENVIRONMENT` is harmless, and is committed as a file.
Settings of contact points are where Grafana puts variables for certain, and `$NAME` is the form
that it reads once: of `${NAME}` it would read dollars in the value again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tokentide_dashboards.kit.json_value import Object

__all__ = ["ENVIRONMENT", "contact_points", "mute_times", "policies", "templates"]

_NOWHERE: Final = "grafana://noop"

ENVIRONMENT: Final[Mapping[str, tuple[str, str]]] = {
    "ALERT_PAGE_TO": (
        "tokentide-nobody",
        "Contact point of pages: tokentide-nobody, -webhook, -slack, -pagerduty or -email",
    ),
    "ALERT_TICKET_TO": ("tokentide-nobody", "Contact point of tickets"),
    "ALERT_WEBHOOK_URL": (_NOWHERE, "URL of tokentide-webhook"),
    "ALERT_SLACK_URL": (_NOWHERE, "Incoming webhook of tokentide-slack"),
    "ALERT_PAGERDUTY_KEY": ("none", "Integration key of tokentide-pagerduty"),
    "ALERT_EMAIL_TO": ("nobody@localhost", "Addresses of tokentide-email, with ; between them"),
    "ALERT_RUNBOOKS_URL": (
        "./",
        "What comes before docs/runbooks/ in links: the address of this repository, and a slash",
    ),
}
"""Variables of Grafana that these files read: default, and what it is."""

_TITLE: Final = '{{ template "tokentide.title" . }}'
_TEXT: Final = """\
{{ template "tokentide.text" . }}
Runbooks are below $ALERT_RUNBOOKS_URL"""

_TEMPLATE: Final = """\
{{ define "tokentide.title" -}}
[{{ .Status | toUpper }}{{ if eq .Status "firing" }} {{ len .Alerts.Firing }}{{ end }}] \
{{ with .CommonLabels.severity }}{{ . }}: {{ end }}{{ .GroupLabels.alertname }}
{{- end }}
{{ define "tokentide.text" -}}
{{ range .Alerts -}}
{{ .Status | toUpper }}: {{ .Annotations.summary }}
{{ if eq .Labels.alertname "DatasourceError" }}Grafana cannot query ClickHouse: {{ .Labels.rulename }}
{{ end }}{{ .Annotations.description }}
Value: {{ .Annotations.value }}, expected: {{ .Annotations.expected }}
Impact: {{ .Annotations.impact }}
Since: {{ .StartsAt.UTC.Format "2006-01-02 15:04 UTC" }}
First: {{ .Annotations.first_action }}
Runbook: {{ .Annotations.runbook }}
Board: {{ reReplaceAll "/+$" "" $.ExternalURL }}{{ .Annotations.board }}
{{ with .SilenceURL }}Silence: {{ . }}
{{ end }}
{{ end -}}
{{ end }}
"""


def contact_points() -> list[Object]:
    """Return who may be notified, with the keys of a provisioned file."""
    message = {"title": _TITLE, "message": _TEXT}
    receivers: tuple[tuple[str, str, Object], ...] = (
        ("nobody", "webhook", {"url": _NOWHERE}),
        ("webhook", "webhook", {"url": "$ALERT_WEBHOOK_URL", "httpMethod": "POST", **message}),
        ("slack", "slack", {"url": "$ALERT_SLACK_URL", "title": _TITLE, "text": _TEXT}),
        (
            "pagerduty",
            "pagerduty",
            {
                "integrationKey": "$ALERT_PAGERDUTY_KEY",
                "severity": "critical",
                "summary": _TITLE,
                "details": {"message": _TEXT},
            },
        ),
        (
            "email",
            "email",
            {"addresses": "$ALERT_EMAIL_TO", "subject": _TITLE, "message": _TEXT},
        ),
    )
    return [
        {
            "orgId": 1,
            "name": f"tokentide-{name}",
            "receivers": [
                {
                    "uid": f"tokentide-{name}",
                    "type": kind,
                    "settings": settings,
                    "disableResolveMessage": False,
                }
            ],
        }
        for name, kind, settings in receivers
    ]


def policies() -> list[Object]:
    """Return the whole tree of policies, which replaces the one that Grafana has."""
    pages: Object = {
        "receiver": "$ALERT_PAGE_TO",
        "object_matchers": [["severity", "=", "page"]],
        "group_wait": "30s",
        "group_interval": "5m",
        "repeat_interval": "4h",
    }
    tickets: Object = {
        "receiver": "$ALERT_TICKET_TO",
        "object_matchers": [["severity", "=", "ticket"]],
        "mute_time_intervals": ["tokentide-quiet-hours"],
        "group_wait": "5m",
        "group_interval": "30m",
        "repeat_interval": "24h",
    }
    root: Object = {
        "orgId": 1,
        "receiver": "tokentide-nobody",
        "group_by": ["alertname", "tenant", "provider"],
        "routes": [pages, tickets],
    }
    return [root]


def mute_times() -> list[Object]:
    """Return when tickets are held back."""
    # Grafana reads no variable here: change the hours in this place.
    times = [
        {"start_time": "20:00", "end_time": "24:00"},
        {"start_time": "00:00", "end_time": "06:00"},
    ]
    quiet: Object = {
        "orgId": 1,
        "name": "tokentide-quiet-hours",
        "time_intervals": [{"times": times, "location": "UTC"}],
    }
    return [quiet]


def templates() -> list[Object]:
    """Return the message."""
    # Grafana expands no variable in templates: dollars stand as they are.
    return [{"orgId": 1, "name": "tokentide", "template": _TEMPLATE}]
