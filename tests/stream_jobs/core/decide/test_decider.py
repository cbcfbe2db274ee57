"""A decider finds what happened, once, and a restart changes nothing of it, bit for bit."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence
from functools import cache
from itertools import pairwise

import pytest

from tests.sampling import IS_THOROUGH
from tests.stream_jobs.core.decide.recorded_stream import (
    BUDGETS,
    MINUTES,
    RULES,
    TICKS,
    recorded,
)
from tests.stream_jobs.core.merge.delta_records import (
    DOLLAR,
    MINUTE_US,
    NOON_US,
    at,
    log,
    steps,
    window_rows,
    windows,
)
from tokentide_jobs.core.budget.spend import Spent
from tokentide_jobs.core.decide.decider import Decider
from tokentide_jobs.core.decide.decisions import Decisions, alarm_id, extreme_id
from tokentide_jobs.core.detect.alarms import Extreme
from tokentide_jobs.core.detect.window_metrics import METRICS
from tokentide_jobs.core.digest import digest
from tokentide_jobs.core.merge.delta_record import DeltaRecord
from tokentide_jobs.core.merge.window_merge import FAST_US


def fresh() -> Decider:
    decider = Decider(RULES, BUDGETS)
    for budget in decider.budgets.unseeded():
        decider.budgets.seed(budget.name, {}, [])
    return decider


def words(findings: Decisions) -> list[object]:
    """Return findings as values that can be compared."""
    return [
        *((w.start_us, w.length_us, w.judged, w.sums.values.tobytes()) for w in findings.windows),
        *findings.verdicts,
        *findings.notices,
        *findings.runs,
        *findings.budgets,
    ]


def joined(parts: Sequence[Decisions]) -> list[object]:
    whole = Decisions()
    for part in parts:
        for kind in dataclasses.fields(Decisions):
            getattr(whole, kind.name).extend(getattr(part, kind.name))
    return words(whole)


@cache
def whole() -> tuple[Decisions, Decider]:
    """Return what is found in all records at once, and the decider after it."""
    decider = fresh()
    return decider.take(recorded()), decider


@cache
def at_once() -> tuple[list[object], bytes]:
    """Return what is found in all records at once, and the state after it."""
    found, decider = whole()
    return words(found), decider.to_bytes()


def test_what_happened_is_found_once() -> None:
    found, _decider = whole()
    assert [one.start_us for one in found.windows if one.length_us == MINUTE_US] == [
        NOON_US + minute * MINUTE_US for minute in range(1, MINUTES - 1)
    ]
    fast = [one for one in found.windows if one.length_us == FAST_US]
    assert [one.start_us for one in fast] == [
        NOON_US + 20_000_000 + part * FAST_US for part in range(6 * (MINUTES - 1) + 3)
    ]
    assert [(v.verdict.key.run, v.verdict.rule, v.is_history) for v in found.verdicts] == [
        ("wild", "spend_rate", False)
    ]
    reported = [(one.budget.name, one.notice.percent) for one in found.notices]
    assert sorted(reported) == [
        ("acme", 50), ("one key", 50), ("one key", 80), ("one key", 95), ("one key", 100),
    ]  # fmt: skip
    opened = {
        (alarm.key, alarm.metric)
        for window in found.windows
        for alarm in window.judged.alarms
        if alarm.change == "opened"
    }
    assert ("provider=p", "error_ratio") in opened


@pytest.mark.parametrize("ahead_us", [0, 50 * MINUTE_US])
def test_one_step_of_a_clock_that_is_ahead_does_not_hide_its_run(ahead_us: int) -> None:
    decider, found = fresh(), []
    for number in range(60):
        at_us = NOON_US + number * 2_000_000
        step = {
            "tenant": "acme", "run": "wild", "at_us": at_us + (0 if number else ahead_us),
            "agent": "critic", "cost_pico_usd": DOLLAR, "tool": "search",
            "input_tokens": 800 if number else 1,
        }  # fmt: skip
        records = [steps([step], number, number + 1, stamp_us=at_us + 500_000)]
        found += decider.take(records).verdicts
    broken = [(one.verdict.rule, one.verdict.calls) for one in found]
    assert broken == [("spend_rate", 6), ("no_growth", 8), ("repeats", 10)]


def test_spend_is_that_of_every_delta_once() -> None:
    _found, decider = whole()
    spent = {
        name: one.spend.of(one.spend.budget.at(NOON_US)).pico_usd
        for name, one in decider.budgets.counted.items()
    }
    of_a_tenant = sum(10**11 * (tick % 3 + 1) + 7 for tick in range(TICKS))
    assert spent == {
        "everything": 2 * of_a_tenant, "acme": of_a_tenant, "one key": TICKS * 10**11
    }  # fmt: skip


@pytest.mark.parametrize("size", [1, 5, 37] if IS_THOROUGH else [1])
def test_the_size_of_a_stretch_changes_nothing(size: int) -> None:
    records, split = recorded(), fresh()
    found, state = at_once()
    parts = [split.take(records[n : n + size]) for n in range(0, len(records), size)]
    assert joined(parts) == found
    assert split.to_bytes() == state


def test_a_restart_at_any_step_is_bit_equal_and_repeats_nothing() -> None:
    (found, state), records = at_once(), recorded()
    decider, parts = fresh(), []
    size = 3 if IS_THOROUGH else 7
    for begin in range(0, len(records), size):
        parts.append(decider.take(records[begin : begin + size]))
        decider = Decider.from_bytes(decider.to_bytes(), RULES, BUDGETS)
    assert joined(parts) == found
    assert decider.to_bytes() == state


def test_a_snapshot_between_a_late_delta_and_the_next_mark_changes_nothing() -> None:
    at_mark = next(
        n for n, one in enumerate(recorded())
        if n > 130 and ("schema", b"progress.v1") in one.headers
    )  # fmt: skip
    before, after = recorded()[:at_mark], recorded()[at_mark : at_mark + 1]
    kept = fresh()
    kept.take(before)
    saved = Decider.from_bytes(kept.to_bytes(), RULES, BUDGETS)
    # At the edge of what counts: the next mark comes from 20 seconds later.
    start_us = kept.progress.complete_us() - RULES.longest_call_us + 10**7
    rows = window_rows([{"window_start": at(start_us), "tenant": "acme", "requests": 5}])
    late = windows(rows, 5_000, 5_001, stamp_us=kept.progress.now_us)
    for decider in (kept, saved):
        decider.take([late])
    saved = Decider.from_bytes(saved.to_bytes(), RULES, BUDGETS)
    for decider in (kept, saved):
        decider.take(after)
    assert kept.merge.carried_requests == saved.merge.carried_requests == 5
    assert kept.to_bytes() == saved.to_bytes()


def test_a_replay_from_an_old_snapshot_makes_the_same_decisions_under_the_same_ids() -> None:
    records, first = recorded(), fresh()
    cuts = (0, 50, 91, len(records))
    snapshots = [first.to_bytes()]
    parts = []
    for begin, end in pairwise(cuts):
        parts.append(first.take(records[begin:end]))
        snapshots.append(first.to_bytes())
    again = Decider.from_bytes(snapshots[1], RULES, BUDGETS)
    replayed = [again.take(records[begin:end]) for begin, end in pairwise(cuts[1:])]
    assert joined(replayed) == joined(parts[1:])
    assert again.to_bytes() == snapshots[-1]
    ids = [
        alarm_id(alarm, w.length_us)
        for one in parts for w in one.windows for alarm in w.judged.alarms
    ]  # fmt: skip
    ids += [one.id for part in parts for one in part.verdicts]
    ids += [one.notice.id for part in parts for one in part.notices]
    assert len(set(ids)) == len(ids)


def test_an_id_names_the_length_of_a_window_unless_that_is_a_minute() -> None:
    windows = fresh().take(recorded()).windows
    opened = [one for one in windows if one.length_us == MINUTE_US and one.judged.alarms]
    alarm = opened[0].judged.alarms[0]
    named = (alarm.key, alarm.metric, alarm.test, alarm.change, alarm.window_start_us)
    assert alarm_id(alarm, MINUTE_US) == digest("alarm", *named)
    assert alarm_id(alarm, FAST_US) != alarm_id(alarm, MINUTE_US)
    extreme = Extreme(alarm.key, alarm.metric, alarm.window_start_us, 9.0, 1.0, 7.0)
    assert extreme_id(extreme, MINUTE_US) == digest("extreme", *named[:2], named[-1])
    assert extreme_id(extreme, FAST_US) != extreme_id(extreme, MINUTE_US)


def test_a_window_says_how_many_tests_its_minute_has_in_windows_of_both_lengths() -> None:
    decider = fresh()
    windows = decider.take(recorded()).windows
    keys = [len(one.state.keys) for one in decider.watched.by_length.values()]
    assert min(keys) > 0
    found = {one.length_us: one.tests for one in windows if one.judged.alarms}
    assert found == dict.fromkeys((MINUTE_US, FAST_US), len(METRICS) * (keys[0] + 6 * keys[1]))


def test_unreadable_records_are_counted_and_skipped() -> None:
    records = list(recorded())
    broken = [
        dataclasses.replace(records[0], value=b"no arrow"),
        DeltaRecord(0, 2, NOON_US, (("schema", b"windows.v1"),), b""),
        DeltaRecord(0, 3, NOON_US, (), b""),
    ]
    decider = fresh()
    found = decider.take([*broken, *records[3:]])
    assert decider.unreadable == 3
    assert len([one for one in found.windows if one.length_us == MINUTE_US]) == MINUTES - 2


def test_records_of_a_schema_that_comes_later_are_passed_over() -> None:
    headers = tuple(
        (name, b"steps.v9" if name == "schema" else text) for name, text in recorded()[0].headers
    )
    decider = fresh()
    decider.take([dataclasses.replace(recorded()[0], headers=headers)])
    assert decider.unreadable == 0


def test_a_state_of_another_version_is_refused() -> None:
    data = fresh().to_bytes()
    with pytest.raises(ValueError, match="version 9"):
        Decider.from_bytes(data.replace(b'"version":2', b'"version":9'), RULES, BUDGETS)
    with pytest.raises(ValueError, match="end at"):
        Decider.from_bytes(data[:-1], RULES, BUDGETS)


def test_whatever_is_damaged_in_a_state_it_is_a_value_error() -> None:
    chance, decider = random.Random(5), Decider(RULES, BUDGETS)
    decider.take(recorded())
    whole, refused = decider.to_bytes(), 0
    for _ in range(80):
        data = bytearray(whole)
        data[chance.randrange(min(len(data), 20_000))] ^= 1 << chance.randrange(8)
        try:
            Decider.from_bytes(bytes(data), RULES, BUDGETS)
        except ValueError:
            refused += 1
    assert refused


def test_a_budget_counts_what_was_stored_and_then_what_comes_after() -> None:
    decider = Decider(RULES, BUDGETS)
    halves = recorded()[:60], recorded()[60:]
    decider.take(halves[0])
    floor = max(int(dict(one.headers).get("end") or b"0") for one in halves[0])
    stored = [Spent(NOON_US, 5 * DOLLAR, requests=5)]
    reported = decider.budgets.seed("acme", {log(): floor}, stored)
    assert [(one.notice.percent, one.is_history) for one in reported] == [(50, True)]
    decider.take(halves[1])
    counted = decider.budgets.counted["acme"].spend
    later = sum(10**11 * (tick % 3 + 1) + 7 for tick in range(floor // 10, TICKS))
    assert counted.of(counted.budget.at(NOON_US)).pico_usd == 5 * DOLLAR + later
    assert decider.budgets.unseeded() == [BUDGETS[0], BUDGETS[2]]


def test_sums_that_are_given_anew_replace_what_was_counted_and_repeat_no_notice() -> None:
    decider = fresh()
    decider.take(recorded()[:-1])
    decider.budgets.outdate("1/0")
    decider = Decider.from_bytes(decider.to_bytes(), RULES, BUDGETS)
    assert (decider.budgets.money_version, len(decider.budgets.unseeded())) == ("1/0", 3)
    now_us = decider.progress.now_us
    for name, dollars, percents in (("acme", 9, [80]), ("one key", 4, []), ("everything", 1, [])):
        spent = [Spent(NOON_US, dollars * DOLLAR, requests=5)]
        found = decider.budgets.seed(name, {log(): 10 * TICKS}, spent, now_us)
        assert [(one.notice.percent, one.is_history) for one in found] == [
            (percent, False) for percent in percents
        ], name
        assert all(one.notice.at_us == now_us for one in found)
        counted = decider.budgets.counted[name].spend
        assert counted.of(counted.budget.at(NOON_US)).pico_usd == dollars * DOLLAR
    assert decider.take(recorded()).notices == []


def test_other_rules_leave_what_was_learned_of_levels_that_are_still_watched() -> None:
    decider = fresh()
    decider.take(recorded()[:80])
    live, by_length = dict(decider.guard.live), decider.watched.by_length
    assert by_length[FAST_US].state.keys == ["tenant=acme", "tenant=globex"]
    assert {"provider=p", "service=chat"} < set(by_length[MINUTE_US].state.keys)
    rules = dataclasses.replace(
        RULES, levels=(("provider",),), fast_levels=(("tenant",), ("service",)), settle_us=0
    )
    decider.set_rules(rules)
    by_length = decider.watched.by_length
    assert by_length[MINUTE_US].state.keys == ["provider=p"]
    assert by_length[FAST_US].state.keys == ["tenant=acme", "tenant=globex"]
    assert decider.guard.live.keys() == live.keys()
    found = decider.take(recorded()[80:])
    keys = {one.length_us: list(one.sums.keys) for one in found.windows if one.sums.keys}
    assert keys == {
        MINUTE_US: ["provider=p"], FAST_US: ["service=chat", "tenant=acme", "tenant=globex"],
    }  # fmt: skip
    # What is watched no more is not what has no traffic.
    alarms = [alarm for window in found.windows for alarm in window.judged.alarms]
    assert alarms
    assert {alarm.key for alarm in alarms} <= {*keys[MINUTE_US], *keys[FAST_US]}


@pytest.mark.parametrize("is_restart", [False, True])
def test_an_alarm_of_a_level_that_is_watched_no_more_is_open_no_more(is_restart: bool) -> None:
    decider = fresh()
    decider.take(recorded())
    known = decider.watched.open_alarms()
    assert {dict(key).popitem()[0] for key, _metric in known} >= {"tenant", "provider"}
    assert not decider.has_gap
    rules = dataclasses.replace(RULES, fast_levels=())
    if is_restart:
        decider = Decider.from_bytes(decider.to_bytes(), rules, BUDGETS)
    else:
        decider.set_rules(rules)
    assert decider.has_gap, "open alerts must be compared with what is still watched"
    left = decider.watched.open_alarms()
    assert left == {one for one in known if "tenant" not in dict(one[0]) or len(one[0]) > 1}
    assert left != known
