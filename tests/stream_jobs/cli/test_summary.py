"""The lines of `tokentide top` and `demo`: what they count, of which time, and what has no cost."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tokentide_jobs.cli.screen import console
from tokentide_jobs.cli.summary import pipeline_line, summary_view
from tokentide_jobs.tasks.summary import Pipeline, SpendGroup, Summary

PIPELINE = Pipeline(
    events=31_144, dead_letters=0, batches=16, busy_s=9.76, delay_p50_ms=3_500.0,
    delay_p95_ms=9_600.0,
)  # fmt: skip
CALLS = SpendGroup(name="deepseek-r1", requests=3, unpriced=2)


def lines(view: Any, capsys: pytest.CaptureFixture[str]) -> list[str]:
    console().print(view)
    return [line.rstrip() for line in capsys.readouterr().out.splitlines()]


def test_the_pipeline_says_of_which_minutes(capsys: pytest.CaptureFixture[str]) -> None:
    assert lines(pipeline_line(PIPELINE, 5), capsys) == [
        "pipeline  last 5 minutes: 31,144 events in 16 batches, 3,191/s; record to row p50 3.5 s, "
        "p95 9.6 s"
    ]
    one = replace(PIPELINE, events=1, batches=1, dead_letters=1)
    shown = lines(pipeline_line(one, 1), capsys)
    assert shown[0].startswith("pipeline  last 1 minute: 1 event in 1 batch, ")
    assert shown[1].split() == ["1", "dead", "letter"]
    none = replace(PIPELINE, events=0, batches=0, busy_s=0.0)
    assert lines(pipeline_line(none, 5), capsys) == ["pipeline  last 5 minutes: no batch"]


def summary(**causes: int) -> Summary:
    named = {cause.replace("_", " "): number for cause, number in causes.items()}
    by: Any = {name: [CALLS] for name in ("model", "team", "tenant", "service")}
    return Summary(0, 60_000_000, replace(CALLS, name=""), by, named)


def test_calls_without_a_cost_are_counted_by_reason(capsys: pytest.CaptureFixture[str]) -> None:
    shown = "\n".join(lines(summary_view(summary(no_price=1, no_usage_reported=1)), capsys))
    assert "2 without a cost (1 no price, 1 no usage reported)" in shown
    assert shown.count("no cost") == 3, "of the model, its team and its tenant"


def test_where_the_causes_are_not_known_both_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    shown = " ".join(lines(summary_view(summary()), capsys))
    assert "2 without a cost (no price or no usage reported, see the view `unpriced`)" in shown
