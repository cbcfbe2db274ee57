"""Arrow tables of the ingest core go into the real tables and come back as the same values."""

from __future__ import annotations

import json
import time
import uuid
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa
import pytest

from tokentide_jobs.core.decode.columns import COLUMNS
from tokentide_jobs.core.decode.decode import decode
from tokentide_jobs.core.decode.judge import AcceptedWindow
from tokentide_jobs.core.outcome.arrow import to_arrow
from tokentide_jobs.core.record.record import Record
from tokentide_jobs.core.tables import RAW_TABLES
from tokentide_jobs.core.window.fold import COST_SUMS, fold

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

pytestmark = pytest.mark.integration

# Rows older than their table keeps them vanish at once.
NOW_US = time.time_ns() // 1000 // 10**7 * 10**7 + 123_456
WINDOW = AcceptedWindow(NOW_US - 10**9, NOW_US + 10**9)


def full_event(event_type: str, number: int) -> dict[str, Any]:
    """Return an event with every field set, each to a value of its own."""
    event: dict[str, Any] = {}
    for place, column in enumerate(COLUMNS[event_type]):
        value: Any = {
            "text": f"{column.name}-{number}",
            "int": 2,
            "float": 1.5 + number,
            "bool": bool(number % 2),
            "texts": ["stop", f"r{number}"],
            "text_map": {"b": f"{place}", "a": "ü"},
            "number_map": {"pages": 2, "areas": 0.5},
        }[column.kind]
        if column.choices:
            value = column.choices[-1]
        elif column.pattern:
            digits = f"{number:032x}"
            length = {"event_id": 0, "target_event_id": 0, "trace_id": 32}.get(column.name, 16)
            value = digits[-length:] if length else str(uuid.UUID(int=number + (7 << 76)))
        event[column.name] = value
    event |= {"started_at_us": NOW_US + number, "type": event_type}
    if event_type == "request":
        tokens = [name for name in event if name.endswith("_tokens")]
        event |= dict.fromkeys(tokens, 1) | {"input_tokens": 10**8, "output_tokens": 900}
        event |= {"cache_write_1h_tokens": 0, "http_status": 500, "status": "error", "ttft_ms": 1.0}
    if "sample_rate" in event:
        event["sample_rate"] = 0.25
    return event


def with_constants(frame: pl.DataFrame, event_type: str) -> pl.DataFrame:
    constants = [
        pl.lit("log").alias("log_id"),
        pl.lit("tokentide.events.v1").alias("_topic"),
        pl.lit(NOW_US).alias("ingested_at_us"),
    ]
    if event_type == "request":
        names = COST_SUMS[:-1]
        costs = [pl.lit((1 << 62) + i, dtype=pl.Int64).alias(n) for i, n in enumerate(names)]
        texts = [pl.lit(n).alias(n) for n in ("price_version", "price_status", "price_rule")]
        constants = [*constants, *costs, *texts]
    return frame.with_columns(constants)


def insert(client: Client, table: str, rows: pa.Table) -> None:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows)
    client.raw_insert(
        table,
        column_names=rows.schema.names,
        insert_block=sink.getvalue().to_pybytes(),
        fmt="ArrowStream",
        settings={"async_insert": 0},
    )


@pytest.mark.parametrize("event_type", sorted(COLUMNS))
def test_every_field_of_an_event_comes_back_from_its_table(
    sql_client: Client, event_type: str
) -> None:
    events = [full_event(event_type, number) for number in range(3)]
    decoded = decode([Record(2, 9, 0, json.dumps(events).encode())], WINDOW)
    assert decoded.dead_letters == []
    table = RAW_TABLES[event_type]
    frame = with_constants(decoded.frames[event_type], event_type)
    insert(sql_client, table, to_arrow(table, frame))
    shown = {
        "started_at_us": "toUnixTimestamp64Micro(started_at)",
        "event_id": "toString(event_id)",
    }
    names = ", ".join(shown.get(column.name, column.name) for column in COLUMNS[event_type])
    rows = sql_client.query(f"SELECT {names} FROM {table} ORDER BY _idx").result_rows
    assert [tuple(event.values()) for event in events] == [tuple(row) for row in rows]
    places = sql_client.query(
        f"SELECT log_id, _topic, _partition, _offset, _idx, toUnixTimestamp64Micro(ingested_at) "
        f"FROM {table} ORDER BY _idx"
    ).result_rows
    assert places == [("log", "tokentide.events.v1", 2, 9, i, NOW_US) for i in range(3)]


@pytest.mark.parametrize("event_type", sorted(COLUMNS))
def test_absent_fields_come_back_empty_or_null(sql_client: Client, event_type: str) -> None:
    """Only the required fields, in rows whose other columns are left out of the insert."""
    event = {
        column.name: value
        for column in COLUMNS[event_type]
        if column.is_required and (value := full_event(event_type, 0)[column.name]) is not None
    } | {"service": "sparse"}
    event |= {"request": {"input_tokens": 0}}.get(event_type, {})
    event |= {"response_id": "r"} if event_type in ("evaluation", "feedback") else {}
    if event_type == "request":
        event["status"] = "cancelled"
    decoded = decode([Record(0, 1, 0, json.dumps(event).encode())], WINDOW)
    assert decoded.dead_letters == []
    table = RAW_TABLES[event_type]
    rows = to_arrow(table, with_constants(decoded.frames[event_type], event_type))
    assert "tags_json" not in rows.schema.names
    insert(sql_client, table, rows)
    optional = [c for c in COLUMNS[event_type] if c.name not in event and c.is_nullable]
    names = ", ".join(column.name for column in optional)
    query = f"SELECT {names} FROM {table} WHERE service = 'sparse'"
    (row,) = sql_client.query(query).result_rows
    empty: dict[str, Any] = {"text": "", "texts": [], "text_map": {}, "number_map": {}}
    assert list(row) == [empty.get(column.kind) for column in optional]


def test_window_deltas_keep_money_and_histograms_exact(sql_client: Client) -> None:
    events = [full_event("request", number) | {"service": "same"} for number in range(5)]
    for event in events:
        for name in ("prompt_name", "response_model", "tenant", "environment", "feature", "team",
                     "operation", "provider", "prompt_version"):  # fmt: skip
            event[name] = "x"
    frame = decode([Record(0, 1, 0, json.dumps(events).encode())], WINDOW).frames["request"]
    deltas = fold({"request": with_constants(frame, "request")})
    assert deltas.height == 1
    insert(sql_client, "windows_10s", to_arrow("windows_10s", deltas))
    (row,) = sql_client.query(
        "SELECT toUnixTimestamp(window_start), events, errors, input_tokens, "
        "toString(cost_pico_usd), toString(cost_errors_pico_usd), latency_hist, cost_hist "
        "FROM windows_10s WHERE service = 'same'"
    ).result_rows
    delta = deltas.to_dicts()[0]
    assert row[0] == NOW_US // 10**7 * 10
    assert row[1:4] == (5, 5, 5 * 10**8)
    assert row[4] == row[5] == str(5 << 62)
    for place, name in ((6, "latency_hist"), (7, "cost_hist")):
        assert row[place] == {entry["key"]: entry["value"] for entry in delta[name]}
        assert sum(row[place].values()) == 5
