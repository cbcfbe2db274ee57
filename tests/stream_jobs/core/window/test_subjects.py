"""Sums by subject are the sums of the rows, however rows are split and however few may be named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sampling import examples
from tokentide_jobs.core.decode.columns import COLUMNS, storage_schema
from tokentide_jobs.core.window.subject_kinds import (
    SUBJECT_FIELDS,
    SUBJECT_KINDS,
    kinds_of,
    kinds_text,
)
from tokentide_jobs.core.window.subjects import (
    OTHER,
    SUBJECT_KEY,
    SUBJECT_SCHEMA,
    SUBJECT_SUMS,
    fold_subjects,
    hourly,
    minus_subjects,
)

START_US = 1_790_000_000_000_000
HOUR_US = 3_600_000_000

WORDS = st.sampled_from(["", "a", "b", "c"])
REQUESTS = st.lists(
    st.fixed_dictionaries(
        {
            "started_at_us": st.integers(0, 3 * HOUR_US).map(lambda us: START_US + us),
            "duration_ms": st.floats(0, 1e6),
            "status": st.sampled_from(["ok", "error", "refused"]),
            "tenant": st.sampled_from(["", "t"]),
            "service": st.sampled_from(["s", "z"]),
            **dict.fromkeys(SUBJECT_FIELDS, WORDS),
            "agent_version": WORDS,
            "parent_run_id": WORDS,
            "parent_agent_name": WORDS,
            "input_tokens": st.none() | st.integers(0, 1 << 40),
            "output_tokens": st.none() | st.integers(0, 1 << 40),
            "tool_calls_count": st.none() | st.integers(0, 9),
            "cost_pico_usd": st.none() | st.integers(0, 5) | st.integers(1 << 61, (1 << 63) - 1),
        }
    ),
    min_size=1,
    max_size=30,
)


def frame(rows: Sequence[dict[str, Any]]) -> pl.DataFrame:
    empty = {column.name: column.empty for column in COLUMNS["request"]}
    filled = [
        empty | row | {"_partition": 0, "_offset": number, "_idx": 0}
        for number, row in enumerate(rows)
    ]
    return pl.DataFrame(filled, schema=storage_schema("request") | {"cost_pico_usd": pl.Int64()})


def named(row: dict[str, Any], kind: str) -> str:
    return next((row[field] for field in SUBJECT_KINDS[kind] if row[field]), "")


def expected(rows: Iterable[dict[str, Any]], by: Sequence[str]) -> dict[Any, Counter[str]]:
    """Sum rows in plain integers, by some columns of the key."""
    sums: dict[Any, Counter[str]] = {}
    for row in rows:
        for kind in SUBJECT_KINDS:
            if not (subject := named(row, kind)):
                continue
            key = {"kind": kind, "subject": subject, "hour": row["started_at_us"] // HOUR_US} | {
                name: row[name] for name in ("tenant", "service")
            }
            sums.setdefault(tuple(key[name] for name in by), Counter()).update(
                {
                    "requests": 1,
                    "errors": row["status"] == "error",
                    "unpriced": row["cost_pico_usd"] is None,
                    "tool_calls": row["tool_calls_count"] or 0,
                    **{
                        name: row[name] or 0
                        for name in ("input_tokens", "output_tokens", "cost_pico_usd")
                    },
                }
            )
    return sums


def found(deltas: pl.DataFrame, by: Sequence[str]) -> dict[Any, Counter[str]]:
    sums: dict[Any, Counter[str]] = {}
    for row in deltas.to_dicts():
        row["hour"] = int(row["window_start"].timestamp()) // 3600
        counter = sums.setdefault(tuple(row[name] for name in by), Counter())
        counter.update({name: int(row[name]) for name in SUBJECT_SUMS})
    return sums


@settings(max_examples=examples(30), deadline=None)
@given(rows=REQUESTS, cut=st.integers(0, 30), most=st.integers(1, 4))
def test_sums_of_a_kind_are_those_of_its_rows_under_any_split_and_any_cap(
    rows: list[dict[str, Any]], cut: int, most: int
) -> None:
    parts = [fold_subjects(frame(part), SUBJECT_KINDS, most) for part in (rows[:cut], rows[cut:])]
    by = ("kind", "hour", "tenant", "service")
    assert found(pl.concat(parts), by) == expected(rows, by)
    for part in parts:
        counts = part.group_by("kind").agg(pl.col("subject").n_unique())["subject"]
        assert max(counts.to_list(), default=0) <= most + 1


@settings(max_examples=examples(30), deadline=None)
@given(rows=REQUESTS, cut=st.integers(0, 30))
def test_each_subject_has_the_sums_of_its_rows_when_all_are_named(
    rows: list[dict[str, Any]], cut: int
) -> None:
    parts = [fold_subjects(frame(part), SUBJECT_KINDS, 99) for part in (rows[:cut], rows[cut:])]
    by = ("kind", "subject", "hour", "tenant", "service")
    assert found(pl.concat(parts), by) == expected(rows, by)
    whole = hourly(fold_subjects(frame(rows), SUBJECT_KINDS, 99))
    assert hourly(pl.concat(parts)).equals(whole)
    assert whole.schema == dict(SUBJECT_SCHEMA)


@settings(max_examples=examples(20), deadline=None)
@given(wanted=REQUESTS, present=REQUESTS, most=st.integers(1, 4))
def test_a_difference_makes_one_fold_the_other(
    wanted: list[dict[str, Any]], present: list[dict[str, Any]], most: int
) -> None:
    right = hourly(fold_subjects(frame(wanted), SUBJECT_KINDS, 99))
    wrong = hourly(fold_subjects(frame(present), SUBJECT_KINDS, most))
    corrected = hourly(pl.concat([wrong, minus_subjects(right, wrong)]))
    by = ("kind", "hour", "tenant", "service")
    mended = {key: sums for key, sums in found(corrected, by).items() if +sums}
    assert mended == expected(wanted, by)
    assert minus_subjects(right, right).is_empty()


def test_where_a_batch_named_too_few_nothing_differs_as_long_as_the_sums_agree() -> None:
    rows = [
        {"started_at_us": START_US, "service": "s", "user_hash": f"u{n}", "cost_pico_usd": n}
        for n in range(5)
    ]
    capped = hourly(fold_subjects(frame(rows), ["user"], 2))
    assert capped["subject"].to_list() == [OTHER, "u3", "u4"], "those that spend most are named"
    assert minus_subjects(hourly(fold_subjects(frame(rows), ["user"], 9)), capped).is_empty()
    more = hourly(fold_subjects(frame([*rows, rows[1]]), ["user"], 9))
    [lacking] = minus_subjects(more, capped).to_dicts()
    assert (lacking["subject"], lacking["requests"], lacking["cost_pico_usd"]) == (OTHER, 1, 1)


def test_a_run_knows_its_agent_user_and_parent_and_when_its_last_call_ended() -> None:
    row = {
        "started_at_us": START_US + 5, "duration_ms": 2.0, "service": "s", "run_id": "r",
        "conversation_id": "c", "agent_name": "planner", "agent_version": "7", "user_hash": "u",
        "parent_run_id": "q",
    }  # fmt: skip
    deltas = fold_subjects(frame([row, row | {"started_at_us": START_US}]), ["run", "agent"], 9)
    agent, run = deltas.to_dicts()
    assert (agent["kind"], agent["subject"], agent["agent_version"]) == ("agent", "planner", "7")
    assert [run[name] for name in ("subject", "agent", "user_hash", "parent")] == [
        "r", "planner", "u", "q",
    ]  # fmt: skip
    times = [run[f"{name}_at"] for name in ("first_started", "last_started", "last_ended")]
    micros = [time.replace(tzinfo=None).microsecond for time in times]
    assert micros == [START_US % 1_000_000, START_US % 1_000_000 + 5, START_US % 1_000_000 + 2005]


def test_kinds_that_are_off_or_never_named_cost_no_row() -> None:
    rows = frame([{"started_at_us": START_US, "service": "s", "user_hash": "u"}])
    assert fold_subjects(rows, ["run", "tool"], 9).is_empty()
    assert fold_subjects(rows, [], 9).is_empty()
    assert fold_subjects(rows, ["user"], 9).height == 1
    assert list(fold_subjects(rows, [], 9).schema) == list(SUBJECT_SCHEMA)
    assert set(SUBJECT_KEY) < set(SUBJECT_SCHEMA)


def test_kinds_are_written_and_read_back() -> None:
    assert kinds_of(kinds_text(SUBJECT_KINDS)) == tuple(SUBJECT_KINDS)
    assert kinds_of("") == ()
