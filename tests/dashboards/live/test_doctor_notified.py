"""`tokentide doctor` follows Grafana's policies, and says which alerts nobody hears of."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.dashboards.live.grafana_server import GrafanaServer, serving
from tests.dashboards.live.test_doctor_checks import FEW, SOME, findings


@pytest.fixture
def server() -> Iterator[GrafanaServer]:
    with serving(GrafanaServer.provisioned(FEW, SOME)) as running:
        yield running


def test_alerts_that_nobody_hears_of_are_a_problem(server: GrafanaServer) -> None:
    """Those of grafana.env, as it is committed, and those of a Grafana that nobody set up."""
    server.notify("tokentide-nobody", "tokentide-nobody")
    found = findings(server)["notification"]
    assert (found.state, found.words) == (
        "problem",
        "4 rules tell nobody, of 4: pages go to tokentide-nobody, tickets go to tokentide-nobody",
    )
    assert "ALERT_PAGE_TO" in found.remedy

    server.notify("tokentide-slack", "tokentide-nobody")
    found = findings(server)["notification"]
    tickets = tuple(rule.uid for rule in SOME if rule.severity == "ticket")
    assert (found.state, found.details) == ("problem", tickets)

    server.policies = {"receiver": "grafana-default-email"}
    server.contact_points = [
        {
            "name": "grafana-default-email",
            "type": "email",
            "settings": {"addresses": "<example@email.com>"},
        }
    ]
    assert findings(server)["notification"].state == "problem"
    server.contact_points[0]["settings"]["addresses"] = "ops@example.com"
    assert findings(server)["notification"].words == (
        "pages go to grafana-default-email, tickets go to grafana-default-email"
    )


@pytest.mark.parametrize(
    ("routes", "pages_to"),
    [
        ([{"receiver": "a", "object_matchers": [["severity", "=", "page"]]}], "a"),
        ([{"receiver": "a", "object_matchers": [["severity", "!=", "page"]]}], "root"),
        ([{"receiver": "a", "object_matchers": [["service", "=~", "token.*"]]}], "a"),
        ([{"receiver": "a", "object_matchers": [["service", "=~", "token"]]}], "root"),
        ([{"receiver": "a", "object_matchers": [["service", "!~", "token"]]}], "a"),
        ([{"receiver": "a", "object_matchers": [["tenant", "=", "acme"]]}], "root"),
        ([{"receiver": "a", "object_matchers": [["service", "=~", "("]]}], "root"),
        ([{"receiver": "a", "continue": True}, {"receiver": "b"}], "a and b"),
        ([{"receiver": "a"}, {"receiver": "b"}], "a"),
        ([{"routes": [{"receiver": "b"}]}], "b"),
        ([{}], "root"),
        ("none", "root"),
    ],
)
def test_policies_are_followed_as_grafana_follows_them(
    server: GrafanaServer, routes: object, pages_to: str
) -> None:
    server.policies = {"receiver": "root", "routes": routes}
    server.contact_points = [
        {"name": name, "type": "slack", "settings": {"url": "[REDACTED]"}}
        for name in ("root", "a", "b")
    ]
    found = findings(server)["notification"]
    assert found.state == "ok"
    assert found.words.startswith(f"pages go to {pages_to},")
