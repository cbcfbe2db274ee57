"""The message to a receiver, rendered by Go's text/template, as Grafana does it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest

from tests.go_program import build_go_program
from tokentide_dashboards.rules.all_rules import RULES
from tokentide_dashboards.rules.notify import contact_points, templates

pytestmark = pytest.mark.integration
PROGRAM: Final = Path(__file__).with_name("message.go")
RUNBOOKS: Final = "https://git.example/tokentide/blob/main/"


@pytest.fixture(scope="module")
def renderer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    built = tmp_path_factory.mktemp("go") / "message"
    return build_go_program(PROGRAM.parent, PROGRAM.name, built)


def setting(contact_point: str, name: str) -> str:
    """Return a setting of a contact point, its variable replaced as Grafana does."""
    (point,) = [one for one in contact_points() if one["name"] == contact_point]
    settings: dict[str, Any] = point["receivers"][0]["settings"]
    return str(settings[name]).replace("$ALERT_RUNBOOKS_URL", RUNBOOKS)


def rendered(renderer: Path, message: str, alert: dict[str, Any], external_url: str) -> str:
    data = {
        "Status": alert["Status"],
        "ExternalURL": external_url,
        "Alerts": [alert],
        "GroupLabels": {"alertname": alert["Labels"]["alertname"]},
        "CommonLabels": alert["Labels"],
    }
    given = {"Templates": templates()[0]["template"], "Message": message, "Data": data}
    done = subprocess.run(
        [renderer], input=json.dumps(given), check=True, capture_output=True, text=True, timeout=60
    )
    return done.stdout


def an_alert(**labels: str) -> dict[str, Any]:
    (rule,) = [rule for rule in RULES if rule.name == "pipeline-freshness"]
    return {
        "Status": "firing",
        "SilenceURL": "http://grafana/silence",
        "Labels": {"severity": "page", "alertname": rule.title, **labels},
        "Annotations": rule.provisioned()["annotations"],
        "StartsAt": "2026-11-30T09:00:00Z",
    }


@pytest.mark.parametrize("external_url", ["http://grafana.example/x/", "http://grafana.example/x"])
def test_the_board_is_linked_by_one_slash(renderer: Path, external_url: str) -> None:
    message = setting("tokentide-webhook", "message")
    lines = rendered(renderer, message, an_alert(), external_url).splitlines()
    assert "Board: http://grafana.example/x/d/tokentide-pipeline" in lines


def test_the_runbook_needs_no_variable_in_an_annotation(renderer: Path) -> None:
    lines = rendered(renderer, setting("tokentide-slack", "text"), an_alert(), "http://g/")
    assert "Runbook: docs/runbooks/pipeline-freshness.md\n" in lines
    assert lines.endswith(f"Runbooks are below {RUNBOOKS}")


def test_the_title_says_severity_and_what_is_wrong(renderer: Path) -> None:
    title = rendered(renderer, setting("tokentide-email", "subject"), an_alert(), "http://g/")
    assert title == "[FIRING 1] page: Nothing new is stored, or ClickHouse cannot be asked"


def test_an_alert_that_grafana_renames_says_whose_it_is(renderer: Path) -> None:
    alert = an_alert(alertname="DatasourceError", rulename="Nothing new is stored")
    text = rendered(renderer, setting("tokentide-email", "message"), alert, "http://g/")
    assert "Grafana cannot query ClickHouse: Nothing new is stored\n" in text
