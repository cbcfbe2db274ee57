"""What detectors, run guard and budgets report becomes findings with identity and impact."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from tests.each import each
from tests.stream_jobs.core.alert.histories import MINUTE_US, NOW_US, TENANT
from tokentide_jobs.core.alert.finding import Finding
from tokentide_jobs.core.alert.runbook import FIRST_ACTIONS, slug_of
from tokentide_jobs.core.alert.sources import (
    Traffic,
    anomaly_finding,
    budget_finding,
    run_end,
    run_finding,
    slo_finding,
)
from tokentide_jobs.core.budget.budget import Budget, Scope
from tokentide_jobs.core.budget.spend import BudgetSpend, Spent
from tokentide_jobs.core.change.cause import Change
from tokentide_jobs.core.detect.alarms import AlarmChange
from tokentide_jobs.core.detect.window_metrics import METRICS
from tokentide_jobs.core.guard.steps import RunKey, Step
from tokentide_jobs.core.guard.verdict import Verdict
from tokentide_jobs.core.slo.slo import Good, Slo
from tokentide_jobs.core.slo.slo_status import WindowCounts, status_of

USD = 10**12
TRAFFIC = Traffic(cost_usd_per_minute=2.0, requests_per_minute=100.0)


def alarm(**changed: Any) -> AlarmChange:
    fields: dict[str, Any] = {
        "change": "opened", "key": "tenant acme", "metric": "error_ratio", "test": "rise",
        "window_start_us": NOW_US, "value": 0.4, "expected": 0.02, "lower": 0.0,
        "upper": float("inf"), "n": 412.0, "evidence": 21.4, "threshold": 18.0,
        "onset_us": NOW_US - 5 * MINUTE_US, "opened_us": NOW_US, "is_young": False,
    }  # fmt: skip
    return AlarmChange(**{**fields, **changed})


def of(found: AlarmChange, **more: Any) -> Finding:
    return anomaly_finding(found, TENANT, 60, TRAFFIC, **more)


@each(
    ("metric", "test", "value", "expected", "dollars", "failed"),
    [
        ("error_ratio", "rise", 0.4, 0.02, 0, 38.0),
        ("cost_usd_per_minute", "up", 3.0, 1.0, 120, 0.0),
        ("unit_price", "up", 0.04, 0.01, 90, 0.0),
        ("requests", "drop", 10.0, 110.0, 0, 100.0),
        ("requests", "rise", 400.0, 100.0, 90, 0.0),
        ("latency_p95_ms", "up", 900.0, 300.0, 0, 0.0),
        ("unit_price", "down", 0.01, 0.04, 0, 0.0),
    ],
)
def test_an_anomaly_costs_what_its_metric_costs(
    metric: str, test: str, value: float, expected: float, dollars: int, failed: float
) -> None:
    found = of(alarm(metric=metric, test=test, value=value, expected=expected)).impact
    assert (found.pico_usd_per_hour, found.failed_per_minute) == (dollars * USD, failed)


def test_opening_and_end_of_an_alarm_are_one_identity_and_the_other_direction_is_not() -> None:
    rise = of(alarm(metric="requests", test="rise"))
    ended = alarm(metric="requests", test="rise", change="closed", value=float("nan"))
    drop = of(alarm(metric="requests", test="drop"))
    assert of(ended).identity == rise.identity != drop.identity
    assert (of(ended).change, of(ended).sentence) == ("ends", "it is back to usual")
    assert of(alarm(change="adopted")).sentence.endswith("the new normal")


def test_a_finding_says_all_in_json_and_names_its_likely_cause() -> None:
    deploy = Change(
        kind="deploy", subject="search", at_us=NOW_US - 6 * MINUTE_US, dimensions={"tenant": "acme"}
    )
    stated = of(alarm(), changes=[deploy], tests=700).to_dict()
    assert stated["sentence"].startswith("error_ratio of tenant acme is 40 %, 20.00 times")
    assert (stated["value"], stated["upper"], stated["n"], stated["unit"]) == (
        0.4,
        None,
        412,
        "of requests",
    )
    assert [cause["subject"] for cause in stated["causes"]] == ["search"]


def test_an_alarm_of_a_young_baseline_is_a_ticket_at_most() -> None:
    assert of(alarm(is_young=True)).at_most == "ticket"


KEY = RunKey("acme", "r1")
VERDICT = Verdict(
    key=KEY, agent="critic", user="", rule="repeats", at_us=NOW_US, value=8, allowed=8,
    spend_pico_usd=2 * USD, per_minute_pico_usd=USD, calls=10, recent_calls=10,
    began_us=NOW_US - 20 * MINUTE_US,
    step=Step(
        KEY, NOW_US, "reader", "", USD, service="desk", environment="production", model="gpt-5",
        prompt_name="answer", prompt_version="7",
    ),
)  # fmt: skip


def deployed(minutes_ago: int, kind: str, subject: str, **where: str) -> Change:
    at_us = NOW_US - minutes_ago * MINUTE_US
    return Change(at_us=at_us, kind=kind, subject=subject, to_version="7", dimensions=where)


def test_a_run_names_the_changes_before_it_and_while_it_ran_that_concern_it() -> None:
    changes = [
        deployed(25, "deploy", "critic", service="desk", environment="production"),
        deployed(12, "prompt", "answer", service="registry"),
        deployed(22, "deploy", "critic", service="desk", environment="staging"),
        deployed(22, "deploy", "billing", service="billing"),
        deployed(22, "prompt", "translate", service="desk"),
        deployed(-1, "deploy", "critic", service="desk"),
        deployed(150, "deploy", "critic", service="desk"),
    ]
    found = run_finding(VERDICT, changes)
    assert [(one.kind, one.subject, one.seconds_before) for one in found.causes] == [
        ("deploy", "critic", 300), ("prompt", "answer", -480),
    ]  # fmt: skip
    assert found.explained == (
        f"{VERDICT.sentence}; perhaps deploy of critic to 7, 5 min before it began"
    )


def test_a_run_that_breaks_a_rule_costs_what_it_spends_and_ends() -> None:
    key, found = KEY, run_finding(VERDICT)
    assert found.key == "tenant acme, run r1"
    assert found.impact.pico_usd_per_hour == 60 * USD
    assert run_end(key, "repeats", NOW_US).identity == found.identity


def test_thresholds_of_a_period_are_levels_of_one_alert_which_the_reset_ends() -> None:
    day_us = 86_400_000_000
    budget = Budget(
        name="search", scope=Scope((("team", "search"),)), period="day", zone=UTC, zone_name="UTC",
        amount_pico_usd=100 * USD, kind="hard",
    )  # fmt: skip
    spend = BudgetSpend(budget)
    crossed_us = 20_000 * day_us + 17 * 60 * MINUTE_US
    notices = spend.add("log/0", 0, 1, [Spent(crossed_us, 120 * USD)])
    found = [budget_finding(budget, one) for one in notices]
    assert [one.level for one in found] == [50, 80, 95, 100]
    assert {one.evidence.since_us for one in found} == {crossed_us}  # not the start of the day
    assert [one.severity for one in found] == ["info", "ticket", "ticket", "page"]
    (reset,) = spend.advance(20_001 * day_us, 0)
    end = budget_finding(budget, reset)
    assert {one.identity for one in found} == {end.identity}
    assert end.change == "ends"
    (tomorrow, *_) = spend.add("log/0", 1, 2, [Spent(20_001 * day_us, 60 * USD)])
    assert budget_finding(budget, tomorrow).identity != end.identity


def test_everything_that_is_found_has_a_first_action() -> None:
    for metric in METRICS:
        assert slug_of(of(alarm(metric=metric.name))) in FIRST_ACTIONS


def test_an_slo_that_burns_is_a_page_until_it_no_longer_does() -> None:
    slo = Slo(
        name="api", scope=TENANT, good=Good(what="errors"), objective=0.99, window_days=30
    )  # fmt: skip
    minute_us = NOW_US // MINUTE_US * MINUTE_US
    windows = [
        WindowCounts(minute_us - at * MINUTE_US, minute_us - (at - 1) * MINUTE_US, 100, 20)
        for at in range(1, 61)
    ]
    fires = slo_finding(status_of(slo, windows, minute_us))
    assert (fires.change, fires.severity, fires.key) == ("fires", "page", "slo api, tenant acme")
    assert fires.sentence.endswith("it burns 20x over 1 h and 20x now")
    calm = slo_finding(status_of(slo, windows, minute_us + 6 * 60 * MINUTE_US))
    assert (calm.change, calm.identity) == ("ends", fires.identity)
