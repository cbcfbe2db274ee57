"""Rules for Prometheus: each asks only for metrics and labels that our workers have."""

from __future__ import annotations

import re

import yaml

from tests.places import ROOT

RULES = yaml.safe_load((ROOT / "deploy/prometheus/tokentide.rules.yml").read_text())
DOCUMENTED = dict(
    re.findall(
        r"^\| `(tokentide_\w+)` \| \w+ \| ([^|]*)\|",
        (ROOT / "docs/operations.md").read_text(),
        re.MULTILINE,
    )
)
"""Every metric with its labels; another test holds that table equal to the code."""


def test_every_rule_asks_for_metrics_and_labels_that_exist() -> None:
    (group,) = RULES["groups"]
    for rule in group["rules"]:
        metrics = re.findall(r"tokentide_\w+", rule["expr"])
        assert metrics, rule["alert"]
        assert set(metrics) <= DOCUMENTED.keys(), rule["alert"]
        for label in re.findall(r"by \((\w+)\)", rule["expr"]):
            assert f"`{label}`" in DOCUMENTED[metrics[0]], rule["alert"]
        shown = re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"])
        assert set(shown) <= set(re.findall(r"by \((\w+)\)", rule["expr"])), rule["alert"]
        assert rule.keys() == {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in {"page", "ticket"}


def test_what_stops_events_without_a_lag_has_a_rule() -> None:
    asked_for = {
        name
        for group in RULES["groups"]
        for rule in group["rules"]
        for name in re.findall(r"tokentide_\w+", rule["expr"])
    }
    assert asked_for >= {
        "tokentide_ingest_behind_transaction_records",
        "tokentide_ingest_disk_low",
        "tokentide_ingest_sink_healthy",
    }
