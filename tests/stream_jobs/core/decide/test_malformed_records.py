"""No writer of the delta topic can stop detection: a malformed record is skipped.

Records are mutated in their bytes, their values and their headers. Each is read or counted as
unreadable, nothing else comes out, and the state can be saved and goes on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from random import Random
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from tests.each import each
from tests.stream_jobs.core.decide.recorded_stream import BUDGETS, RULES
from tests.stream_jobs.core.merge.delta_records import (
    DOLLAR,
    MINUTE_US,
    NOON_US,
    at,
    changes,
    log,
    mark,
    steps,
    subjects,
    window_rows,
    windows,
)
from tokentide_jobs.core.change.change_rows import CHANGES_SCHEMA
from tokentide_jobs.core.decide.alert_findings import alert_findings
from tokentide_jobs.core.decide.budget_book import SUBJECT_SPEND
from tokentide_jobs.core.decide.decider import Decider
from tokentide_jobs.core.decide.decision_rows import rows_of
from tokentide_jobs.core.decide.states import states_of
from tokentide_jobs.core.guard.step_rows import NO_VALUE, STEPS_SCHEMA
from tokentide_jobs.core.merge import deltas
from tokentide_jobs.core.merge.delta_record import DeltaRecord, UnreadableDelta, origin_of
from tokentide_jobs.core.merge.open_windows import WANTED
from tokentide_jobs.core.outcome.ipc import to_ipc

ODD: tuple[object, ...] = (
    None, True, "x", "", -1, 0, 2**31, 2**63 - 1, 2**70, 1.5, float("nan"), float("inf"), [], {},
    [1], {"t": 1}, {"t": 10**9}, {"t": "x"}, {"t": None}, {"t": -1}, "9" * 5_000,
)  # fmt: skip
_EVERY = 20


def window(**changed: Any) -> DeltaRecord:
    row = {
        "window_start": at(NOON_US), "tenant": "acme", "provider": "p", "model": "m",
        "requests": 5, "cost_pico_usd": DOLLAR, "latency_hist": [{"key": 300, "value": 5}],
    }  # fmt: skip
    return windows(window_rows([{**row, **changed}]), 0, 9)


def good() -> list[DeltaRecord]:
    step = {"tenant": "acme", "run": "r", "at_us": NOON_US, "agent": "a", "cost_pico_usd": DOLLAR}
    key = {"kind": "key", "subject": "key-7", "cost_pico_usd": DOLLAR, "requests": 1}
    return [
        window(),
        subjects([key], 0, 9),
        steps([step], 0, 9),
        changes([{"at_us": NOON_US, "kind": "deploy", "subject": "s"}], 0, 9),
        mark(NOON_US + MINUTE_US),
    ]


def fresh() -> Decider:
    decider = Decider(RULES, BUDGETS)
    for budget in decider.budgets.unseeded():
        decider.budgets.seed(budget.name, {}, [])
    return decider


class Job:
    """What becomes of records, as in the job: decided, made rows and states of, saved."""

    def __init__(self) -> None:
        self.decider = fresh()
        self.taken = 0

    def take(self, *records: DeltaRecord) -> bool:
        """Take records, and now and then what closes a window; return whether all were read."""
        before = self.decider.unreadable
        self.taken += 1
        findings = self.decider.take(records)
        minute = self.taken // _EVERY + 1
        if self.taken % _EVERY == 0:
            closing = mark(NOON_US + minute % 10 * MINUTE_US, stamp_us=NOON_US + minute * MINUTE_US)
            findings.extend(self.decider.take([closing]))
        list(rows_of(findings))
        list(alert_findings(findings))
        states_of(findings, {}, lambda _reason: None)
        assert len(findings.unreadable) == self.decider.unreadable - before
        return self.decider.unreadable == before


def mutated(value: bytes, chance: Random) -> bytes:
    """Return bytes with some of them changed, cut off, repeated or put in."""
    changed = bytearray(value)
    for _ in range(chance.randrange(1, 4)):
        place = chance.randrange(len(changed) + 1)
        match chance.randrange(6):
            case 0:
                del changed[place:]
            case 1:
                changed[place:place] = changed[place : place + chance.randrange(64)]
            case 2:
                changed[place : place + 8] = chance.choice([b"\xff" * 8, bytes(8)])
            case _:
                changed[place : place + 1] = bytes([chance.randrange(256)])
    return bytes(changed)


RECORDS = good()
WANTED_OF = (WANTED, SUBJECT_SPEND, STEPS_SCHEMA, CHANGES_SCHEMA)


def is_read(job: Job, place: int, value: bytes, number: int) -> bool:
    """Return whether a job reads a record with this value, that it has not seen before."""
    try:
        deltas.read_rows(value, WANTED_OF[place], NO_VALUE)
    except UnreadableDelta:
        return False  # most end here, without all that a job does beside reading
    named = tuple(
        (k, str(number).encode() if k == "log_id" else v) for k, v in RECORDS[place].headers
    )
    return job.take(replace(RECORDS[place], value=value, headers=named))


def test_bytes_that_are_damaged_are_read_or_passed_over() -> None:
    chance, job = Random(7), Job()
    read = 0
    for number in range(800):
        place = chance.choice((0, 1, 2, 2, 3, 3))
        read += is_read(job, place, mutated(RECORDS[place].value, chance), number)
    assert 0 < read < 500
    Decider.from_bytes(job.decider.to_bytes(), RULES, BUDGETS)


def odd_columns(kind: pa.DataType, chance: Random) -> list[pa.Array]:
    """Return columns that hold no value, another type, or what nothing comes to."""
    odd = [pa.array([one]) for one in ODD if isinstance(one, (str, bool, float, list))]
    odd += [pa.array([2**63 - 1]), pa.array([-1]), pa.array([b"\xff"]), pa.nulls(1)]
    odd = [pa.nulls(1, kind), *chance.sample(odd, 1)]
    if pa.types.is_map(kind):
        entries = ((-32_768, 1), (32_767, 2**64 - 1), (1, 0), (1, 2**62))
        odd += [pa.array([[entry]], kind) for entry in entries]
    return odd


def test_values_that_are_none_are_passed_over_whatever_column_they_are_in() -> None:
    chance, job = Random(7), Job()
    number = passed_over = 0
    for place, wanted in enumerate(WANTED_OF):
        with pa.ipc.open_stream(RECORDS[place].value) as reader:
            table = reader.read_all()
        for name in wanted:
            column = table.column_names.index(name)
            for odd in odd_columns(table.schema.field(name).type, chance):
                changed = table.set_column(column, name, odd)
                value = bytes(to_ipc(changed, compress=number % 2 == 0))
                passed_over += not is_read(job, place, value, number)
                number += 1
    assert 70 < passed_over < number - 20
    Decider.from_bytes(job.decider.to_bytes(), RULES, BUDGETS)


@pytest.mark.parametrize(
    "made",
    [
        partial(steps, [{"at_us": -1, "run": "r"}]),
        partial(steps, [{"at_us": 2**62, "run": "r"}]),
        partial(changes, [{"at_us": 2**62}]),
        partial(subjects, [{"window_start": at(-MINUTE_US)}]),
    ],
)
def test_times_that_are_none_are_passed_over(made: Callable[[int, int], DeltaRecord]) -> None:
    assert not Job().take(made(0, 9))


def test_marks_whose_fields_are_something_else_are_passed_over() -> None:
    job, record = Job(), RECORDS[4]
    fields = json.loads(record.value)
    values = [b"", b"[]", b"null", b"\xff", b"[" * 200_000, b'{"a":' * 100_000]
    values += [json.dumps({**fields, name: odd}).encode() for name in fields for odd in ODD]
    values += [
        json.dumps({k: v for k, v in fields.items() if k != name}).encode() for name in fields
    ]
    read = [value for value in values if job.take(replace(record, value=value))]
    assert 0 < len(read) < len(values) / 2
    assert len(job.decider.progress._partitions) < 10
    Decider.from_bytes(job.decider.to_bytes(), RULES, BUDGETS)


def test_headers_that_are_something_else_are_passed_over() -> None:
    job = Job()
    odd: Sequence[bytes | None] = (None, b"", b"x", b"-1", b"\xff", b"9" * 30, b"9" * 5_000, b"1.5")
    for record in RECORDS:
        for name, _value in record.headers:
            for value in odd:
                named = tuple((k, value if k == name else v) for k, v in record.headers)
                job.take(replace(record, headers=named))
            job.take(
                replace(record, headers=tuple(one for one in record.headers if one[0] != name))
            )
    assert job.decider.unreadable > 150
    Decider.from_bytes(job.decider.to_bytes(), RULES, BUDGETS)


@each("name", ["schema", "log_id", "topic", "partition", "start", "end", "chunk"])
def test_a_header_without_a_value_is_no_coordinate(name: str) -> None:
    named = tuple((k, None if k == name else v) for k, v in RECORDS[0].headers)
    with pytest.raises(UnreadableDelta, match="without a value"):
        origin_of(named)


@pytest.mark.parametrize("compression", ["zstd", "lz4"])
def test_a_small_record_that_would_unpack_to_a_large_one_is_not_unpacked(
    compression: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deltas, "MOST_BYTES", 1 << 20)
    sink = pa.BufferOutputStream()
    table = pa.table({"at_us": pa.array(bytes(2 << 20), pa.uint8())})
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write_table(table)
    value = sink.getvalue().to_pybytes()
    assert len(value) < 20_000
    before = pa.total_allocated_bytes()
    with pytest.raises(UnreadableDelta, match="2,097,152 bytes unpacked, expected at most"):
        deltas.read_rows(value, {})
    assert pa.total_allocated_bytes() <= before


def test_texts_that_a_dictionary_repeats_are_bounded_as_they_are_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(deltas, "MOST_BYTES", 1 << 20)
    table = pa.table({"run": pa.array(["x" * 1_000] * 2_000).dictionary_encode()})
    with pytest.raises(UnreadableDelta, match="2,000,000 bytes unpacked"):
        deltas.read_rows(bytes(to_ipc(table, compress=True)), {"run": pl.String()})


def test_every_record_that_ingest_writes_is_read() -> None:
    job = Job()
    assert all(job.take(record) for record in good())
    assert job.decider.unreadable == 0
    assert job.decider.seen.ends() == {log(): 9}
