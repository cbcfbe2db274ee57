"""The watermark: the slowest active partition decides, idle ones do not hold it back."""

from __future__ import annotations

from tokentide_jobs.core.window.watermark import Watermark


def watermark() -> Watermark:
    return Watermark(lateness_us=10, idle_us=100)


def test_nothing_observed_means_no_watermark() -> None:
    assert watermark().value_us(now_us=1_000) is None


def test_the_slowest_active_partition_decides() -> None:
    mark = watermark()
    mark.observe(0, max_event_us=500, now_us=1_000)
    mark.observe(1, max_event_us=300, now_us=1_000)
    assert mark.value_us(now_us=1_050) == 290


def test_an_idle_partition_no_longer_holds_it_back() -> None:
    mark = watermark()
    mark.observe(0, max_event_us=300, now_us=1_000)
    mark.observe(1, max_event_us=500, now_us=1_090)
    assert mark.value_us(now_us=1_100) == 490


def test_when_all_are_idle_the_furthest_counts() -> None:
    mark = watermark()
    mark.observe(0, max_event_us=300, now_us=1_000)
    mark.observe(1, max_event_us=500, now_us=1_000)
    assert mark.value_us(now_us=9_000) == 490


def test_late_events_do_not_take_it_back() -> None:
    mark = watermark()
    mark.observe(0, max_event_us=500, now_us=1_000)
    mark.observe(0, max_event_us=100, now_us=1_010)
    assert mark.value_us(now_us=1_010) == 490


def test_a_clock_that_runs_ahead_does_not_carry_it_into_the_future() -> None:
    mark = watermark()
    mark.observe(0, max_event_us=99_999, now_us=1_000)
    assert mark.value_us(now_us=1_000) == 990


def test_a_partition_taken_away_is_forgotten() -> None:
    mark = watermark()
    mark.observe(0, max_event_us=300, now_us=1_000)
    mark.observe(1, max_event_us=500, now_us=1_000)
    mark.forget(0)
    assert mark.value_us(now_us=1_000) == 490
