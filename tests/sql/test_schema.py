"""Tables hold every field of the contract under its name, and nothing unknown."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest
from clickhouse_connect.driver.client import Client

from tokentide_jobs.core.decode.columns import COLUMNS
from tokentide_jobs.core.tables import RAW_TABLES
from tokentide_jobs.io.schema.sql_files import sql_root
from tokentide_schemas import EVENT_MODELS
from tokentide_schemas.descriptions import DESCRIPTIONS
from tokentide_schemas.events import SUBSETS

pytestmark = pytest.mark.integration

VIEWS = {
    "request": "requests",
    "evaluation": "evaluations",
    "feedback": "feedback",
    "change": "changes",
    "stats": "producer_stats",
}
COORDINATES = {"log_id", "_topic", "_partition", "_offset", "_idx", "ingested_at"}
COSTS = {
    "cost_pico_usd",
    "cost_input_pico_usd",
    "cost_cache_read_pico_usd",
    "cost_cache_write_pico_usd",
    "cost_output_pico_usd",
    "cost_other_pico_usd",
    "price_version",
    "price_status",
    "price_rule",
}

COUNTED = {"run", "subject_kinds"}
"""Under which subjects a request is counted."""


def _columns(client: Client, table: str) -> dict[str, str]:
    rows = client.query(
        "SELECT name, type FROM system.columns"
        " WHERE database = currentDatabase() AND table = {table:String}"
        " AND default_kind != 'EPHEMERAL'",
        parameters={"table": table},
    ).result_rows
    return {str(name): str(kind) for name, kind in rows}


@pytest.mark.parametrize("event_type", EVENT_MODELS)
def test_a_raw_table_holds_every_field_of_its_event_and_nothing_unknown(
    sql_client: Client, event_type: str
) -> None:
    fields = set(EVENT_MODELS[event_type].model_fields) - {"started_at_us"} | {"started_at"}
    expected = fields | COORDINATES | (COSTS | COUNTED if event_type == "request" else set())
    assert set(_columns(sql_client, RAW_TABLES[event_type])) == expected


@pytest.mark.parametrize("event_type", EVENT_MODELS)
def test_a_view_shows_every_field_of_its_event_under_its_own_name(
    sql_client: Client, event_type: str
) -> None:
    shown = set(_columns(sql_client, VIEWS[event_type]))
    expected = set(EVENT_MODELS[event_type].model_fields) | {"started_at"} | COORDINATES
    if event_type == "request":
        expected |= COSTS | {"cost_usd", "reported_cost_usd", "run"}
    if event_type in ("request", "evaluation", "feedback"):
        expected |= {"model"}
    assert shown == expected


@pytest.mark.parametrize("event_type", EVENT_MODELS)
def test_numbers_that_may_be_absent_are_nullable_and_texts_are_not(
    sql_client: Client, event_type: str
) -> None:
    types = _columns(sql_client, RAW_TABLES[event_type])
    for column in COLUMNS[event_type]:
        if column.name == "started_at_us":
            continue
        kind = types[column.name]
        is_number = column.kind in ("int", "float", "bool")
        assert kind.startswith("Nullable(") == (is_number and column.is_nullable), column.name


def test_money_in_the_view_is_exact_decimal_and_null_stays_null(sql_client: Client) -> None:
    types = _columns(sql_client, "requests")
    assert types["cost_usd"] == "Nullable(Decimal(38, 12))"
    assert types["cost_pico_usd"] == "Nullable(Int64)"
    row = {
        "event_id": "018f0000-0000-7000-8000-000000000001",
        "started_at": dt.datetime.now(dt.UTC),
        "tags_json": '{"cell": "eu-1"}',
        "other_units_json": '{"pages": 2.5}',
    }
    for cost in (None, 0, 1, -(10**18), 123_456_789_012_345):
        sql_client.insert(
            "raw_requests", [[*row.values(), cost]], column_names=[*row, "cost_pico_usd"]
        )
    rows = sql_client.query(
        "SELECT toString(cost_usd), input_tokens, stream, tags, other_units FROM requests"
        " ORDER BY cost_pico_usd NULLS FIRST"
    ).result_rows
    costs = [r[0] for r in rows]
    assert costs == [None, "-1000000", "0", "0.000000000001", "123.456789012345"]
    assert all(r[1:] == (None, None, {"cell": "eu-1"}, {"pages": 2.5}) for r in rows)


def test_a_call_belongs_to_its_run_else_its_conversation_else_its_trace(sql_client: Client) -> None:
    names = ["event_id", "started_at", "run_id", "conversation_id", "trace_id"]
    now = dt.datetime.now(dt.UTC)
    for number, ids in enumerate([("r", "c", "t"), ("", "c", "t"), ("", "", "t"), ("", "", "")]):
        event_id = f"018f0000-0000-7000-8000-0000000001{number:02}"
        sql_client.insert("raw_requests", [[event_id, now, *ids]], column_names=names)
    runs = sql_client.query(
        "SELECT run FROM requests WHERE event_id >= '018f0000-0000-7000-8000-000000000100'"
        " ORDER BY event_id"
    ).result_columns[0]
    assert list(runs) == ["r", "c", "t", ""]


def test_every_table_and_view_says_what_it_is(sql_client: Client) -> None:
    rows = sql_client.query(
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND comment = ''"
    ).result_rows
    assert rows == []


def test_every_column_of_every_view_says_what_it_is(sql_client: Client) -> None:
    """Its unit, what a time begins, what a detail is part of; and what the contract says of it."""
    rows = sql_client.query(
        "SELECT table, name, comment FROM system.columns WHERE database = currentDatabase() AND"
        " table IN (SELECT name FROM system.tables WHERE database = currentDatabase()"
        " AND engine = 'View')"
    ).result_rows
    comments = {(str(view), str(name)): str(comment) for view, name, comment in rows}
    assert {view for view, _name in comments} >= {*VIEWS.values(), "judgements", "spend_by_hour"}
    wrong = [
        f"{view}.{name}: {comment!r} does not say {what!r}"
        for (view, name), comment in comments.items()
        for what in _must_say(name)
        if not comment or not any(word in comment for word in what.split("|"))
    ]
    for event_type, view in VIEWS.items():
        for name in EVENT_MODELS[event_type].model_fields:
            if not comments[view, name].startswith(DESCRIPTIONS[name]):
                wrong.append(f"{view}.{name} does not begin as the contract: {DESCRIPTIONS[name]}")
        wrong += [
            f"{view}.{part} does not say that it is part of {whole}"
            for part, whole in SUBSETS
            if event_type == "request" and whole not in comments[view, part].partition("part of")[2]
        ]
    assert wrong == []


def _must_say(name: str) -> Iterator[str]:
    """Yield words of which a comment has one, by what the name of a column promises."""
    units = {
        "pico_usd": "1e-12 USD", "usd": "USD", "ms": "ms", "us": "µs|microseconds", "bytes": "ytes",
        "tokens": "nput|utput|tokens", "hist": "Histogram",
    }  # fmt: skip
    yield ""
    for suffix, unit in units.items():
        if name.endswith(f"_{suffix}"):
            yield unit
            break
    if name in ("day", "hour", "minute", "month", "started_at"):
        yield "UTC"
    if name in ("day", "hour", "minute", "month", "position"):
        yield "inclusive|exclusive"
    if name == "input_tokens":
        yield "caches included"
    if name == "output_tokens":
        yield "reasoning included"


def test_every_table_an_insert_can_reach_has_a_deduplication_window(sql_client: Client) -> None:
    rows = sql_client.query(
        "SELECT name FROM system.tables WHERE database = currentDatabase()"
        " AND engine LIKE '%MergeTree' AND engine_full NOT LIKE"
        " '%non_replicated_deduplication_window = 10000%'"
    ).result_rows
    assert rows == []


def test_the_four_window_tables_have_the_same_columns(sql_client: Client) -> None:
    shapes = [_columns(sql_client, f"windows_{level}") for level in ("10s", "1m", "1h", "1d")]
    assert all(shape == shapes[0] for shape in shapes)


def test_a_look_up_by_event_id_skips_granules_by_its_index(sql_client: Client) -> None:
    plan = sql_client.query(
        "EXPLAIN indexes = 1 SELECT cost_usd FROM requests"
        " WHERE event_id = '018f0000-0000-7000-8000-000000000001'"
    ).result_columns[0]
    assert any("event_id_bloom" in line for line in plan)


def test_a_time_range_on_the_view_prunes_partitions(sql_client: Client) -> None:
    plan = sql_client.query(
        "EXPLAIN indexes = 1 SELECT sum(cost_usd) FROM requests"
        " WHERE started_at >= '2020-01-01' AND started_at < '2020-01-02' AND tenant = 'acme'"
    ).result_columns[0]
    text = "\n".join(plan)
    assert "Parts: 0/" in text or "ReadFromPreparedSource" in text or "NullSource" in text


def test_the_readme_names_every_table_and_view(sql_client: Client) -> None:
    readme = Path(sql_root() / "README.md").read_text("utf-8")
    names = sql_client.query(
        "SELECT name FROM system.tables WHERE database = currentDatabase()"
        " AND engine != 'MaterializedView'"
    ).result_columns[0]
    assert [name for name in names if f"`{name}`" not in readme] == []
