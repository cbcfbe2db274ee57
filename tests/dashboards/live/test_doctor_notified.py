"""`tokentide doctor` follows Grafana's policies, and reports alerts without a receiver."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.dashboards.live.grafana_server import GrafanaServer, serving
from tests.dashboards.live.test_doctor_checks import SOME, findings
from tokentide_dashboards.live.finding import Finding


@pytest.fixture
def server() -> Iterator[GrafanaServer]:
    with serving(GrafanaServer.provisioned((), SOME)) as running:
        yield running


def notification(server: GrafanaServer) -> Finding:
    """Return what is found of it; no board has a part in that."""
    return findings(server, boards=())["notification"]


def test_alerts_without_a_receiver_are_a_problem(server: GrafanaServer) -> None:
    """Those of grafana.env, as it is committed, and those of a Grafana that was never set up."""
    server.notify("tokentide-nobody", "tokentide-nobody")
    found = notification(server)
    assert (found.state, found.words) == (
        "problem",
        "4 rules have no receiver, of 4: pages go to tokentide-nobody, "
        "tickets go to tokentide-nobody",
    )
    assert "ALERT_PAGE_TO" in found.remedy

    server.notify("tokentide-slack", "tokentide-nobody")
    found = notification(server)
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
    assert notification(server).state == "problem"
    server.contact_points[0]["settings"]["addresses"] = "ops@example.com"
    assert notification(server).words == (
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
        ([{"receiver": "a", "object_matchers": [["country", "=", "fr"]]}], "root"),
        ([{"receiver": "a", "object_matchers": [["country", "!=", "fr"]]}], "a"),
        ([{"receiver": "a", "object_matchers": [["country", "!~", "f."]]}], "a"),
        ([{"receiver": "a", "object_matchers": [["service", "=~", "("]]}], "a and root"),
        ([{"receiver": "a", "object_matchers": [["service", "~", "x"]]}], "a and root"),
        ([{"receiver": "a", "matchers": ["tenant=acme"]}], "a and root"),
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
    found = notification(server)
    assert found.state == "ok"
    assert found.words.startswith(f"pages go to {pages_to},")


@pytest.mark.parametrize(
    ("routes", "state"),
    [
        ([{"receiver": "quiet", "object_matchers": [["@", "=", "acme"]]}], "unknown"),
        ([{"receiver": "quiet", "object_matchers": [["@", "!=", "acme"]]}], "problem"),
        ([{"receiver": "b", "object_matchers": [["@", "!=", "acme"]]}], "ok"),
        (
            [
                {"receiver": "b", "continue": True},
                {"receiver": "quiet", "object_matchers": [["@", "=~", ".+"]]},
            ],
            "ok",
        ),
        (
            [
                {"receiver": "quiet", "object_matchers": [["@", "=", "acme"]]},
                {"receiver": "quiet"},
            ],
            "problem",
        ),
        ([{"receiver": "teletype"}], "unknown"),
        ([{"receiver": "half"}], "ok"),
    ],
)
def test_what_depends_on_a_label_of_the_alert_is_neither_notified_nor_silent(
    server: GrafanaServer, routes: list[dict[str, object]], state: str
) -> None:
    """`@` stands for a label that the first rule takes from its query."""
    (name, *_more) = SOME[0].labels
    for route in routes:
        matchers = route.get("object_matchers", [])
        assert isinstance(matchers, list)
        route["object_matchers"] = [[name, *rest] for _at, *rest in matchers]
    server.policies = {"receiver": "a", "routes": routes}
    server.contact_points = [
        {"name": "a", "type": "webhook", "settings": {"url": "https://example.com"}},
        {"name": "b", "type": "opsgenie", "settings": {"apiKey": "[REDACTED]"}},
        {"name": "quiet", "type": "webhook", "settings": {"url": "grafana://noop"}},
        {"name": "teletype", "type": "teletype", "settings": {"line": "7"}},
        {"name": "half", "type": "slack", "settings": {}},
        {"name": "half", "type": "teams", "settings": {"url": "[REDACTED]"}},
    ]
    found = notification(server)
    assert found.state == state, found.words
    assert state != "unknown" or SOME[0].uid in found.details


@pytest.mark.parametrize("kind", ["webhook", "slack", "email", "pagerduty", "teams", "telegram"])
@pytest.mark.parametrize("settings", [{}, {"title": "an alert"}, None])
def test_a_contact_point_without_an_address_is_no_receiver(
    server: GrafanaServer, kind: str, settings: object
) -> None:
    server.policies = {"receiver": "root"}
    server.contact_points = [{"name": "root", "type": kind, "settings": settings}]
    found = notification(server)
    assert (found.state, found.words) == (
        "problem", "4 rules have no receiver, of 4: pages go to root, tickets go to root",
    )  # fmt: skip


def test_policies_with_more_ways_than_are_followed_are_not_judged(server: GrafanaServer) -> None:
    (name, *_more) = SOME[0].labels
    server.policies = {
        "receiver": "root",
        "routes": [
            {"receiver": f"p{at}", "continue": True, "object_matchers": [[name, "=", str(at)]]}
            for at in range(20)
        ],
    }
    found = notification(server)
    assert (found.state, found.words[:22]) == ("unknown", "policies depend on too")
