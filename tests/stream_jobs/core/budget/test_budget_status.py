"""A status states what was spent, what is left, and whether it needs attention."""

from __future__ import annotations

import json
from zoneinfo import ZoneInfo

from tokentide_jobs.core.budget.budget import Budget, Scope
from tokentide_jobs.core.budget.budget_status import budget_status
from tokentide_jobs.core.budget.period import PeriodKind
from tokentide_jobs.core.budget.reads import WindowSpend

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
NOW_US = 1_795_867_200_000_000  # 2026-11-28 12:00 UTC, a Saturday
USD = 10**12


def budget(dollars: float, kind: PeriodKind = "month", zone: str = "UTC") -> Budget:
    return Budget(
        name="search", scope=Scope((("team", "search"),)), period=kind, zone=ZoneInfo(zone),
        zone_name=zone, amount_pico_usd=round(dollars * USD), kind="hard",
    )  # fmt: skip


def hourly(days: int, pico: int = USD, unpriced: int = 0) -> list[WindowSpend]:
    """Return hours of even spend up to now."""
    starts = [NOW_US - HOUR_US * (at + 1) for at in reversed(range(days * 24))]
    return [WindowSpend(start, start + HOUR_US, pico, 1, unpriced) for start in starts]


def test_sums_are_of_the_present_period_alone_and_the_one_before_beside_it() -> None:
    status = budget_status(budget(1_000), hourly(40), NOW_US)
    assert status.current.pico_usd == 27 * 24 * USD + 12 * USD
    assert status.before.pico_usd == (40 * 24 - 27 * 24 - 12) * USD
    assert status.left_pico_usd == (1_000 - 660) * USD
    assert status.verdict == "ok"
    assert status.forecast.pico_usd == 720 * USD
    assert status.forecast.low_pico_usd == status.forecast.high_pico_usd == 720 * USD


def test_thresholds_carry_the_hour_in_which_they_were_reached() -> None:
    form = budget_status(budget(1_000), hourly(40), NOW_US).to_dict()
    assert [one["percent"] for one in form["thresholds"]] == [50, 80, 95, 100]
    half, *others = (one["reached"] for one in form["thresholds"])
    assert (half["at"], half["spent_usd"]) == ("2026-11-21T19:00:00+00:00", "500.000000000000")
    assert others == [None, None, None]


def test_more_than_the_amount_is_over_and_the_amount_itself_is_not() -> None:
    windows = hourly(40)
    assert budget_status(budget(660), windows, NOW_US).verdict == "attention"
    status = budget_status(budget(660 - 1e-12), windows, NOW_US)
    assert (status.verdict, status.left_pico_usd) == ("over", -1)
    assert status.to_dict()["left_usd"] == "-0.000000000001"


def test_a_forecast_beyond_the_amount_wants_attention() -> None:
    assert budget_status(budget(719), hourly(40), NOW_US).verdict == "attention"
    assert budget_status(budget(720), hourly(40), NOW_US).verdict == "ok"


def test_a_burning_budget_wants_attention() -> None:
    windows = [*hourly(3)[:-1], WindowSpend(NOW_US - HOUR_US, NOW_US, 30 * USD, 1, 0)]
    status = budget_status(budget(1_000), windows, NOW_US)
    assert status.forecast.pico_usd is None, "three days are no history"
    assert status.verdict == "attention"


def test_requests_without_a_price_make_it_a_lower_bound() -> None:
    form = budget_status(budget(10_000), hourly(2, unpriced=1), NOW_US).to_dict()
    assert form["is_lower_bound"] is True
    assert form["unpriced"] == 48
    assert form["forecast"]["usd"] is None
    assert "2.0 days of history" in form["forecast"]["rests_on"]


def test_rows_that_may_have_expired_make_it_a_lower_bound() -> None:
    begin_us = NOW_US - 27 * DAY_US - DAY_US // 2
    for kept_from_us, is_lower_bound in ((0, False), (begin_us, False), (begin_us + 1, True)):
        status = budget_status(budget(1_000), hourly(2), NOW_US, kept_from_us)
        assert status.is_lower_bound is is_lower_bound


def test_the_month_of_a_zone_begins_when_its_clocks_say() -> None:
    starts = [NOW_US - HOUR_US * (at + 1) for at in reversed(range(40 * 24))]
    edge = next(at for at in starts if at == NOW_US - 27 * DAY_US - 13 * HOUR_US)
    windows = [WindowSpend(edge, edge + HOUR_US, 5 * USD, 1, 0)]
    assert budget_status(budget(100, zone="Europe/Berlin"), windows, NOW_US).share == 0.05
    assert budget_status(budget(100), windows, NOW_US).share == 0


def test_a_day_is_forecast_as_a_line_without_an_interval() -> None:
    status = budget_status(budget(100, "day"), hourly(2), NOW_US)
    assert status.forecast.pico_usd == 24 * USD
    assert status.forecast.method == "even rate"
    assert status.forecast.low_pico_usd is None


def test_a_reset_is_announced_after_a_period_that_had_reached_a_threshold() -> None:
    quiet, loud = (budget_status(budget(usd), hourly(40), NOW_US) for usd in (10_000, 500))
    assert quiet.resets == []
    assert [one.period.label for one in loud.resets] == ["2026-11"]
    assert loud.to_dict()["resets"][0]["spent_usd"] == "300.000000000000"
    weekly = budget_status(budget(10, "week"), hourly(40), NOW_US)
    assert [one.period for one in weekly.resets] == [weekly.current.period], "of no week before"


def test_the_json_form_is_json_and_names_its_scope() -> None:
    form = budget_status(budget(1_000), [], NOW_US).to_dict()
    assert json.loads(json.dumps(form)) == form
    assert form["scope"] == {"team": "search"}
    assert form["spent_usd"] == "0.000000000000"
