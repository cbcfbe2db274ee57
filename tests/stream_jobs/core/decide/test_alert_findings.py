"""What the stream gave rise to becomes findings: with what a key does, and what carried it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tests.stream_jobs.core.alert.test_sources import alarm
from tests.stream_jobs.core.decide.recorded_stream import BUDGETS, RULES, recorded
from tests.stream_jobs.core.merge.delta_records import DOLLAR, NOON_US, changes, steps
from tokentide_jobs.core.alert.finding import Finding
from tokentide_jobs.core.decide.alert_findings import alert_findings
from tokentide_jobs.core.decide.decider import Decider
from tokentide_jobs.core.decide.decisions import Decisions, JudgedWindow
from tokentide_jobs.core.detect.alarms import WindowReport
from tokentide_jobs.core.detect.window_metrics import METRICS, REQUESTS
from tokentide_jobs.core.guard.step_rows import ADDED, STEPS_SCHEMA
from tokentide_jobs.core.merge.open_windows import WindowFigures

REQUESTS_OF = {
    "provider=azure, model=gpt-5": 20.0,
    "provider=openai, model=gpt-5": 80.0,
    "provider=anthropic, model=opus": 50.0,
    "tenant=acme": 60.0,
    "tenant=acme, model=gpt-5": 50.0,
    "tenant=acme, model=opus": 10.0,
}


def of(key: str) -> Finding:
    values = np.full((len(METRICS), len(REQUESTS_OF)), np.nan)
    values[REQUESTS] = list(REQUESTS_OF.values())
    cost_usd = np.arange(len(REQUESTS_OF), dtype=float)
    sums = WindowFigures(list(REQUESTS_OF), values, np.zeros_like(values), cost_usd)
    window = JudgedWindow(0, 60_000_000, sums, WindowReport((alarm(key=key),), ()), 84)
    (found,) = alert_findings(Decisions(windows=[window]))
    return found


def test_an_alarm_costs_what_its_key_does_in_that_window() -> None:
    found = of("tenant=acme")
    assert found.dimensions == (("tenant", "acme"),)
    assert found.impact.failed_per_minute == 60 * 0.38
    assert found.tests == 84


def test_a_key_without_requests_in_the_window_costs_nothing_more() -> None:
    assert of("tenant=gone").impact.failed_per_minute == 0


def test_the_provider_and_model_of_most_requests_carry_a_tenant() -> None:
    gpt = (("provider", "openai"), ("model", "gpt-5"))
    assert set(of("tenant=acme").carriers) == {gpt[:1], gpt}
    assert set(of("tenant=acme, model=gpt-5").carriers) == {gpt[:1], gpt}
    assert of("provider=openai, model=gpt-5").carriers == ()


def test_runs_and_budgets_of_a_stream_become_findings() -> None:
    decider = Decider(RULES, BUDGETS)
    for budget in decider.budgets.unseeded():
        decider.budgets.seed(budget.name, {}, [])
    found = list(alert_findings(decider.take(recorded())))
    runs = [one for one in found if one.kind == "run" and one.change == "fires"]
    assert [(one.key, one.metric, one.is_history) for one in runs] == [
        ("tenant acme, run wild", "spend_rate", False)
    ]
    assert {one.kind for one in found} >= {"run", "budget", "anomaly"}


def test_a_run_of_a_stream_names_the_deploy_of_its_agent() -> None:
    deploy = {"at_us": NOON_US - 60_000_000, "kind": "deploy", "subject": "critic",
              "to_version": "7", "service": "desk"}  # fmt: skip
    dear = {"tenant": "acme", "run": "wild", "at_us": NOON_US, "agent": "critic",
            "service": "desk", "cost_pico_usd": 30 * DOLLAR}  # fmt: skip
    records = [changes([deploy], 0, 1), steps([dear], 0, 1)]
    (found,) = alert_findings(Decider(RULES, ()).take(records))
    assert [str(cause) for cause in found.causes] == [
        "deploy of critic to 7, 1 min before it began"
    ]
    # One that an ingest of before has published says less of its steps.
    before = steps([dear], 0, 1, columns=set(STEPS_SCHEMA) - set(ADDED))
    (same,) = alert_findings(Decider(RULES, ()).take([records[0], before]))
    assert (same.sentence, [one.shared for one in same.causes]) == (found.sentence, [("agent",)])


def test_a_run_of_long_ago_is_over_and_a_run_of_now_is_not() -> None:
    found = Decider(RULES, BUDGETS).take(recorded())
    (live,) = found.verdicts
    old = Decisions(verdicts=[live, replace(live, is_history=True)])
    assert [(one.is_history, one.is_over) for one in alert_findings(old)] == [
        (False, False), (True, True),
    ]  # fmt: skip


def test_an_anomaly_of_a_stream_names_the_deploy_before_it_and_what_makes_it_up() -> None:
    found = alert_findings(Decider(RULES, ()).take(recorded()))
    of_key = {
        (one.key, one.metric): one
        for one in found
        if one.kind == "anomaly" and one.change == "fires"
    }
    service = of_key["service chat", "error_ratio"]
    assert [(one.subject, one.to_version, one.shared) for one in service.causes] == [
        ("chat", "42", ("service",))
    ]
    provider = of_key["provider p", "error_ratio"]
    assert provider.contributors == (
        "model m (100 %)",
        "tenant acme, model m (50 %)",
        "tenant globex, model m (50 %)",
    )
    assert provider.explained == (
        f"{provider.sentence}; most of it in model m (100 %) and in tenant acme, model m (50 %) "
        "and in tenant globex, model m (50 %); perhaps deploy of chat to 42, 0 min before it began"
    )
