"""Provisioned files hold only what Grafana reads, and say what a person needs."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.dashboards.rules.rule_evaluation import NumberTableError, RuleEvaluation, number_table
from tests.each import each
from tests.places import ROOT
from tokentide_dashboards.check.provisioned_keys import unknown_keys
from tokentide_dashboards.generated import HERE
from tokentide_dashboards.kit.uid import Uid
from tokentide_dashboards.rules.all_rules import RULES
from tokentide_dashboards.rules.notify import ENVIRONMENT

FILES = sorted((HERE / "provisioning").rglob("*.yaml"))
UIDS = {
    "tokentide-anomaly-page", "tokentide-anomaly-ticket", "tokentide-budget-burn",
    "tokentide-budget-spent", "tokentide-budget-threshold", "tokentide-dead-letters",
    "tokentide-detector-heartbeat", "tokentide-error-burn", "tokentide-forecast-over-plan",
    "tokentide-pipeline-freshness", "tokentide-pipeline-lag", "tokentide-producer-loss",
    "tokentide-producer-silence", "tokentide-quality-drop", "tokentide-run-guard",
    "tokentide-slo-burn-page", "tokentide-slo-burn-ticket", "tokentide-unpriced-share",
}  # fmt: skip
"""Grafana cannot delete a provisioned rule: add to these, and pause what is retired."""


@each("path", FILES, ids=lambda path: path.stem)
def test_no_provisioned_file_has_a_key_that_grafana_would_drop(path: Path) -> None:
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert list(unknown_keys(content)) == []


@pytest.mark.parametrize("key", ["keep_firing_for", "missingSeriesEvalsToResolve", "no_data_state"])
def test_a_key_in_the_spelling_of_the_api_is_named(key: str) -> None:
    rule = {**RULES[0].provisioned(), key: "5m"}
    assert list(unknown_keys({"groups": [{"rules": [rule]}]})) == [f"groups[0].rules[0].{key}"]


def test_uids_stay_for_ever() -> None:
    assert {rule.uid for rule in RULES} == UIDS
    assert len(RULES) == len(UIDS)
    assert all(len(uid) <= 40 for uid in UIDS)


def test_exactly_one_rule_says_that_clickhouse_cannot_be_asked() -> None:
    saying = [rule.name for rule in RULES if rule.error not in ("KeepLast", "OK")]
    assert saying == ["pipeline-freshness"]
    firing = 0
    for rule in RULES:
        evaluation = RuleEvaluation(rule.provisioned())
        for minute in range(60):
            evaluation.take(60 * minute, None)
        firing += len(evaluation.firing)
    assert firing == 1


def test_every_rule_has_its_page_and_a_board() -> None:
    for rule in RULES:
        annotations = rule.provisioned()["annotations"]
        page = annotations["runbook"]
        assert (ROOT / page).is_file(), page
        assert annotations["runbook_url"] == f"${{ALERT_RUNBOOKS_URL}}{page}"
        # Versions that expand nothing in annotations must not be needed for what is sent.
        assert [key for key, text in annotations.items() if "${" in text] == ["runbook_url"]
        assert rule.board in Uid


def test_every_rule_leads_to_the_panel_that_shows_what_was_seen() -> None:
    boards = [json.loads(path.read_text("utf-8")) for path in (HERE / "json").glob("*.json")]
    panels = {
        (board["uid"], str(panel["id"])): panel for board in boards for panel in board["panels"]
    }
    rules = yaml.safe_load((HERE / "provisioning/alerting/rules.yaml").read_text("utf-8"))
    provisioned = {one["uid"]: one for group in rules["groups"] for one in group["rules"]}
    for rule in RULES:
        annotations = provisioned[rule.uid]["annotations"]
        panel = panels[annotations["__dashboardUid__"], annotations["__panelId__"]]
        assert panel["title"] == rule.panel
        assert panel["targets"], f"{rule.name}: {rule.panel} shows no data"
        assert annotations["board"] == f"/d/{annotations['__dashboardUid__']}"


def test_a_panel_that_is_gone_is_named_when_files_are_written() -> None:
    with pytest.raises(KeyError, match="no panel 'Spend': it has"):
        replace(RULES[0], panel="Spend").provisioned()


def test_a_runbook_says_by_which_name_grafana_silences_a_query_that_fails() -> None:
    for rule in RULES:
        page = (ROOT / rule.runbook).read_text(encoding="utf-8")
        for state, own, name in (
            (rule.error, "Error", "DatasourceError"),
            (rule.no_data, "NoData", "DatasourceNoData"),
        ):
            matchers = f"matchers `alertname={name}` and `rulename={rule.title}`"
            assert (matchers in page) == (state == own), rule.name


def test_secrets_are_read_in_the_form_that_grafana_expands_once() -> None:
    for path in FILES:
        for key, value in expanded(yaml.safe_load(path.read_text(encoding="utf-8"))):
            assert not re.search(r"\$\{|\$__", value), f"{path.name}: {key}: {value}"


def test_variables_of_the_files_are_in_the_environment_that_is_committed() -> None:
    given = {
        line.partition("=")[0]
        for line in (HERE / "provisioning/grafana.env").read_text(encoding="utf-8").splitlines()
        if not line.startswith("#")
    }
    assert given >= set(ENVIRONMENT)
    read: set[str] = set()
    for path in FILES:
        read |= set(re.findall(r"\$\{?([A-Z][A-Z_]+)", path.read_text(encoding="utf-8")))
    assert read == given


NEVER_EXPANDED = ("templates.yaml", "mute-times.yaml")
"""Files whose content Grafana takes as it is."""


def test_a_dollar_stands_only_where_grafana_means_it() -> None:
    for path in (HERE / "provisioning/alerting").glob("*.yaml"):
        text = path.read_text(encoding="utf-8")
        if path.name in NEVER_EXPANDED:
            assert not re.search(r"\$\$|\$\{?[A-Z]", text), path.name
            continue
        for key, value in expanded(yaml.safe_load(text)):
            assert not re.search(r"\$(?!\{?ALERT_)", value), f"{path.name}: {key}: {value}"


def expanded(content: Any, key: str = "") -> list[tuple[str, str]]:
    """Return every text in which Grafana expands `$NAME`: not queries, not annotations."""
    if isinstance(content, dict):
        kept = [(k, v) for k, v in content.items() if k not in ("model", "annotations")]
        return [one for k, v in kept for one in expanded(v, str(k))]
    if isinstance(content, list):
        return [one for v in content for one in expanded(v, key)]
    return [(key, content)] if isinstance(content, str) else []


def test_a_row_that_is_missing_twice_ends_its_alert() -> None:
    evaluation = RuleEvaluation({**RULES[0].provisioned(), "for": "0s"})
    evaluation.take(0, {(("budget", "a"),): 2.0, (("budget", "b"),): 0.0})
    for minute in (1, 2):
        assert evaluation.firing == [(("budget", "a"),)]
        evaluation.take(60 * minute, {(("budget", "b"),): 0.0})
    assert evaluation.firing == []


def test_an_alert_waits_before_it_fires_and_fires_on_after_it_ended() -> None:
    rule = {**RULES[0].provisioned(), "for": "2m", "keepFiringFor": "3m"}
    evaluation = RuleEvaluation(rule)
    seen = []
    for minute in range(10):
        evaluation.take(60 * minute, {(): 2.0 if minute < 4 else 0.0})
        seen.append(bool(evaluation.firing))
    assert seen == [False, False, True, True, True, True, True, False, False, False]


@pytest.mark.parametrize(
    ("types", "rows"),
    [
        (("String", "Float64", "Float64"), [("a", 1.0, 2.0)]),
        (("String", "Float64", "DateTime"), [("a", 1.0, 2)]),
        (("String", "Float64", "Bool"), [("a", 1.0, True)]),
        (("String", "Float64", "String"), [("a", 1.0, "b"), ("a", 2.0, "b")]),
    ],
)
def test_a_table_that_grafana_takes_for_no_numbers_is_refused(
    types: tuple[str, ...], rows: list[tuple[object, ...]]
) -> None:
    with pytest.raises(NumberTableError):
        number_table(("x", "n", "y"), types, rows)
