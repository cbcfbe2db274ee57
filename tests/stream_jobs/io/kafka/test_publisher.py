"""Window deltas as records: a series keeps its partition, and no record is too large."""

from __future__ import annotations

import random
import zlib
from datetime import UTC, datetime

import polars as pl
import pyarrow as pa
import pytest

from tokentide_jobs.core.guard.step_rows import STEPS_SCHEMA
from tokentide_jobs.core.merge.deltas import read_rows
from tokentide_jobs.core.outcome.arrow import published, to_arrow
from tokentide_jobs.core.outcome.ipc import to_ipc
from tokentide_jobs.core.window.fold import DELTA_SCHEMA
from tokentide_jobs.core.window.subjects import SUBJECT_SCHEMA
from tokentide_jobs.io.kafka import publisher as kafka
from tokentide_jobs.io.kafka.publisher import delta_chunks


def deltas(rows: int) -> pa.Table:
    empty = pl.DataFrame(schema=dict(DELTA_SCHEMA))
    services = [f"service-{number}" for number in range(rows)]
    chance = random.Random(1)
    numbers = {name: [chance.getrandbits(60) for _ in services] for name in ("events", "requests")}
    frame = pl.concat([empty, pl.DataFrame({"service": services, **numbers})], how="diagonal")
    return to_arrow("windows_10s", frame.with_columns(pl.col(pl.String).fill_null("")))


def read(value: bytes) -> list[str]:
    services: list[str] = pa.ipc.open_stream(value).read_all().column("service").to_pylist()
    return services


def test_every_delta_is_sent_once_to_the_home_of_its_series() -> None:
    homes: dict[str, int] = {}
    for partition, chunk, value in delta_chunks(deltas(50), 4):
        assert chunk == 0
        for service in read(value):
            assert service not in homes
            homes[service] = partition
    assert len(homes) == 50
    assert set(homes.values()) == {0, 1, 2, 3}
    for partition, _chunk, value in delta_chunks(deltas(7), 4):
        assert all(homes[service] == partition for service in read(value))


def test_the_home_of_a_series_never_changes() -> None:
    ((partition, _chunk, _value),) = delta_chunks(deltas(1), 4)
    assert partition == zlib.crc32(b"\x1fservice-0" + b"\x1f" * 8) % 4


def test_large_deltas_are_cut_into_chunks() -> None:
    limit = kafka._CHUNK_BYTES
    found = list(delta_chunks(deltas(30_000), 1))
    assert [chunk for _partition, chunk, _value in found] == list(range(len(found)))
    assert len(found) > 1
    assert all(len(value) <= limit for _partition, _chunk, value in found)
    assert sum(len(read(value)) for _partition, _chunk, value in found) == 30_000


def test_a_chunk_takes_no_names_along_that_are_only_in_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table = deltas(2_000)
    monkeypatch.setattr(kafka, "_UNPACKED_BYTES", 20_000)  # less than the names of all
    found = list(delta_chunks(table, 4))
    assert sorted(name for *_place, value in found for name in read(value)) == sorted(
        table.column("service").to_pylist()
    )
    assert len(found) < 2 * table.nbytes / 20_000, "cut until nothing was left to cut"


def test_steps_of_a_large_batch_are_packed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    chance, places = random.Random(1), range(20_000)
    steps = pl.DataFrame(
        {
            "run": [f"{chance.getrandbits(128):032x}" for _ in places],
            "at_us": [1_790_000_000_000_000 + 10 * place for place in places],
            "cost_pico_usd": [chance.getrandbits(20) * 12_500 for _ in places],
            "tokens": [chance.getrandbits(12) for _ in places],
            "input_tokens": [chance.getrandbits(12) for _ in places],
            "errors": [0 for _ in places],
        }
    )
    steps = steps.with_columns(
        pl.lit("support").alias(name) for name in STEPS_SCHEMA if name not in steps.columns
    )
    packed: list[int] = []

    def counted(rows: pa.Table, *, compress: bool) -> memoryview:
        packed.append(rows.num_rows)
        return to_ipc(rows, compress=compress)

    monkeypatch.setattr(kafka, "to_ipc", counted)
    found = list(delta_chunks(published(steps), 1, ("tenant", "run")))
    assert sum(packed) == 20_000
    assert len(found) > 1
    assert all(len(value) <= kafka._CHUNK_BYTES for _partition, _chunk, value in found)
    read_again = pl.concat([read_rows(value, STEPS_SCHEMA) for _partition, _chunk, value in found])
    assert read_again.equals(steps.select(STEPS_SCHEMA.keys()))


def test_columns_of_few_texts_travel_as_a_byte_a_row_and_others_as_they_are() -> None:
    chance, places = random.Random(2), range(3_000)
    texts = {
        "run": [f"{chance.getrandbits(128):032x}" for _ in places],
        "user": ["u1" if place % 2 else "" for place in places],
        "service": [f"service-{place % 128}" for place in places],
        "model": [f"model-{place % 129}" for place in places],
        "tool": ["search" for _ in places],
    }
    numbers = {name: list(places) for name in ("at_us", "cost_pico_usd", "tokens", "input_tokens")}
    steps = pl.DataFrame({**texts, **numbers, "errors": [0 for _ in places]})
    steps = steps.with_columns(
        pl.lit("support").alias(name) for name in STEPS_SCHEMA if name not in steps.columns
    )
    table = published(steps)
    packed = {name: pa.types.is_dictionary(table.schema.field(name).type) for name in texts}
    assert packed == {"run": False, "user": False, "service": True, "model": False, "tool": True}
    assert table.schema.field("service").type.index_type == pa.int8()
    [(_partition, _chunk, value)] = delta_chunks(table, 1, ("tenant", "run"))
    assert read_rows(value, STEPS_SCHEMA).equals(steps.select(STEPS_SCHEMA.keys()))


def test_all_deltas_of_a_subject_go_home_too_whatever_else_they_say() -> None:
    names = ["window_start", "kind", "subject", "tenant", "service"]
    start = datetime(2026, 11, 1, tzinfo=UTC)
    rows = [(start, "run", f"r{number % 9}", f"t{number}", "s") for number in range(90)]
    schema = {name: SUBJECT_SCHEMA[name] for name in names}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    empty = pl.DataFrame(schema=dict(SUBJECT_SCHEMA))
    table = to_arrow("subjects_1h", pl.concat([empty, frame], how="diagonal"))
    homes: dict[str, set[int]] = {}
    for partition, _chunk, value in delta_chunks(table, 4, ("kind", "subject")):
        for subject in pa.ipc.open_stream(value).read_all().column("subject").to_pylist():
            homes.setdefault(subject, set()).add(partition)
    assert len(homes) == 9
    assert all(len(partitions) == 1 for partitions in homes.values())
    assert homes["r0"] == {zlib.crc32(b"run\x1fr0") % 4}
