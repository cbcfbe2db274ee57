"""Every file of `sql/queries/` runs on the seeded database, and its columns have names."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import fields
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from tests.places import ROOT
from tests.sql.cookbook_calls import seed
from tokentide_jobs.core.price.card_rows import CARD_COLUMNS
from tokentide_jobs.core.price.pricing import PRICE_COLUMNS
from tokentide_jobs.core.price.reported_usage import TOKEN_COLUMNS
from tokentide_jobs.core.price.vocabulary import CallTerms
from tokentide_jobs.core.reprice.corrections import CORRECTION_COLUMNS
from tokentide_jobs.core.tables import PLACE_COLUMNS
from tokentide_jobs.core.window.fold import DIMENSIONS
from tokentide_jobs.core.window.subject_kinds import SUBJECT_KINDS
from tokentide_jobs.errors import ConfigError
from tokentide_jobs.io.schema.sql_files import sql_root
from tokentide_jobs.io.schema.sql_queries import load_query
from tokentide_jobs.tasks.runs import RunRow
from tokentide_jobs.tasks.summary import Pipeline, SpendGroup

pytestmark = pytest.mark.integration

FOLDER = sql_root() / "queries"
NAMES = sorted(str(path.relative_to(FOLDER).with_suffix("")) for path in FOLDER.rglob("*.sql"))
STATEMENTS = {name for name in NAMES if not load_query(name).text.startswith(("SELECT", "WITH"))}
VALUES: dict[str, Any] = {
    "String": "", "UUID": "00000000-0000-0000-0000-000000000000", "Int8": 1, "Int32": 0, "Int64": 0,
    "Identifier": "windows_1m",
    "UInt32": 10, "UInt64": 10, "Array(String)": [], "Array(Int64)": [],
    "Array(UInt32)": [], "Array(UUID)": [], "Bool": False,
    "DateTime64(3, 'UTC')": dt.datetime(1970, 1, 1, tzinfo=dt.UTC),
    "Array(Tuple(Int64, Int64))": [(0, 1 << 32)],
}  # fmt: skip
SPEND = {"start_s", "length_s", "cost_pico_usd", "requests", "unpriced"}
PRICED_FIELDS = (
    *CallTerms._fields,
    "server_address",
    "status",
    "usage_source",
    *TOKEN_COLUMNS,
    "chunks",
)
"""Columns of raw_requests that decide a price, besides started_at and other_units."""
LATEST = {"high_us", "high", "to_us", "until_us", "last_us"}
MUST_ANSWER = {
    "verify/batches", "verify/intents", "verify/stored", "verify/windows", "verify/rollups",
    "verify/rows_by_window", "verify/repeated_event_ids", "verify/shortest_retention",
    "summary/spend", "summary/pipeline", "dead_letters/reasons", "dead_letters/list",
    "reprice/requests", "reprice/requests_by_window", "reprice/day_gap",
    "reprice/table_engine", "repair/days", "repair/raw_rows", "repair/window_rows",
    "repair/open_batches", "repair/finished_since", "repair/subject_rows",
    "verify/subjects", "verify/subject_rows", "budgets/windows", "budgets/subject",
    "slos/windows",
}  # fmt: skip
"""Queries that the seed gives something to find."""


@pytest.fixture(scope="module")
def seeded(sql_client: Client) -> Client:
    seed(sql_client)
    return sql_client


def sample(name: str) -> dict[str, Any]:
    query = load_query(name)
    values = {key: VALUES[kind] for key, kind in query.parameters.items()} | (
        {key: 10_000_000 for key in ("window_us", "grain_us") if key in query.parameters}
    )
    values |= {key: "raw_requests" for key in ("raw_table",) if key in query.parameters}
    return {key: (1 << 51) if key in LATEST else value for key, value in values.items()}


def bound(name: str, database: str, parameters: dict[str, Any]) -> str:
    query = load_query(name)
    names = {"database": database} if "database" in query.names else {}
    return query.bound(names, parameters)


def ask(client: Client, name: str, **values: Any) -> tuple[tuple[str, ...], list[dict[str, Any]]]:
    parameters = {**sample(name), **values}
    database = str(client.command("SELECT currentDatabase()"))
    result = client.query(bound(name, database, parameters), parameters)
    return tuple(result.column_names), list(result.named_results())


def columns(client: Client, name: str) -> tuple[str, ...]:
    """Describe a query: the answer of one that finds nothing has no names."""
    database = str(client.command("SELECT currentDatabase()"))
    parameters = sample(name)
    text = bound(name, database, parameters)
    return tuple(client.query(f"DESCRIBE ({text})", parameters).result_columns[0])


@pytest.mark.parametrize("name", [name for name in NAMES if name not in STATEMENTS])
def test_every_query_runs_and_names_its_columns(seeded: Client, name: str) -> None:
    names, rows = columns(seeded, name), ask(seeded, name)[1]
    assert all(re.fullmatch(r"[a-z_][a-z0-9_]*", column) for column in names), names
    assert len(set(names)) == len(names)
    assert rows or name not in MUST_ANSWER


def test_the_statements_of_repricing_run_one_after_another(seeded: Client) -> None:
    database = str(seeded.command("SELECT currentDatabase()"))
    order = ("create_lookup", "fill_lookup", "apply", "drop_lookup")
    assert {f"reprice/{name}" for name in order} | {"void/delete"} == STATEMENTS
    for name in order:
        query, values = load_query(f"reprice/{name}"), sample(f"reprice/{name}")
        seeded.command(query.bound({"database": database, "lookup": "a_lookup"}, values), values)


def test_what_is_taken_out_goes_by_its_place_alone(seeded: Client) -> None:
    names = {"database": str(seeded.command("SELECT currentDatabase()")), "table": "raw_requests"}
    before = seeded.command("SELECT count() FROM raw_requests")
    event_id, place, at_us = seeded.query(
        "SELECT toString(event_id), concat(log_id, ' ', _topic, ' ', toString(_partition), ' ', "
        "toString(_offset), ' ', toString(_idx)), toUnixTimestamp64Micro(started_at) "
        "FROM raw_requests ORDER BY event_id LIMIT 1"
    ).result_rows[0]
    values = {"ids": [event_id], "from_us": at_us, "to_us": at_us + 1, "places": ["elsewhere"]}
    for places, left in ((["elsewhere"], before), ([place], int(str(before)) - 1)):
        values |= {"places": places}
        seeded.command(load_query("void/delete").bound(names, values), values)
        assert seeded.command("SELECT count() FROM raw_requests") == left


def test_every_file_says_what_it_answers_and_is_asked_for_by_the_program() -> None:
    source = "".join(path.read_text("utf-8") for path in (ROOT / "stream_jobs").rglob("*.py"))
    for name in NAMES:
        assert (FOLDER / f"{name}.sql").read_text("utf-8").startswith("-- "), name
        assert f'"{name}"' in source, f"{name} is not used"


def test_the_tasks_hold_no_sql_of_their_own() -> None:
    tasks = ROOT / "stream_jobs" / "tokentide_jobs" / "tasks"
    modules = [*(tasks / "verify").glob("*.py"), *(tasks / "reprice").glob("*.py")]
    refused = tasks.parent / "io" / "clickhouse" / "known_refused_rows.py"
    for path in [*modules, *tasks.glob("*.py"), refused]:
        text = path.read_text("utf-8")
        assert not re.search(r"\b(SELECT|INSERT INTO|ALTER TABLE|GROUP BY)\b", text), path


def test_columns_are_what_the_program_reads(seeded: Client) -> None:
    expected = {
        "reprice/requests": {
            *PLACE_COLUMNS, "started_at_us", *PRICED_FIELDS, "other_units", "model", *DIMENSIONS,
            *PRICE_COLUMNS, "subject_kinds",
                *(f"subject_{kind}" for kind in SUBJECT_KINDS),
        },
        "reprice/corrections": set(CORRECTION_COLUMNS),
        "prices/request": {
            *PLACE_COLUMNS, "started_at_us", *PRICED_FIELDS, "other_units", "service",
            *PRICE_COLUMNS,
        },
        "prices/cards": set(CARD_COLUMNS),
        "summary/spend": {"dimension", *(field.name for field in fields(SpendGroup))},
        "budgets/windows": SPEND,
        "budgets/subject": SPEND,
        "summary/pipeline": {field.name for field in fields(Pipeline)},
        "runs/list": {
            *(field.name for field in fields(RunRow) if field.name != "verdicts"),
            "found_runs", "found_agents", "found_cost_pico_usd",
        },
    }  # fmt: skip
    assert columns(seeded, "reprice/corrections") == CORRECTION_COLUMNS
    for name, wanted in expected.items():
        assert set(columns(seeded, name)) == wanted, name


def test_the_lookup_of_repricing_holds_every_price_column() -> None:
    for name in ("create_lookup", "fill_lookup", "apply"):
        text = load_query(f"reprice/{name}").text
        assert all(re.search(rf"\b{column}\b", text) for column in PRICE_COLUMNS), name


def test_every_block_of_the_summary_adds_up_to_the_whole(seeded: Client) -> None:
    rows = ask(seeded, "summary/spend")[1]
    by: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by.setdefault(row["dimension"], []).append(row)
    (total,) = by.pop("")
    assert set(by) == {"model", "team", "tenant", "service"}
    assert total["requests"] > 0
    added = ("requests", "events", "errors", "cost_pico_usd", "saved_pico_usd", "input_tokens")
    for dimension, groups in by.items():
        for column in added:
            if column == "saved_pico_usd" and dimension != "model":
                continue  # each group's own rate of plain input decides
            assert sum(row[column] for row in groups) == total[column], (dimension, column)
    errors = sum(total[name] for name in total if name.startswith("errors_"))
    assert errors == total["errors"]


def test_rows_are_split_into_finished_and_in_flight_by_the_given_positions(seeded: Client) -> None:
    name = "verify/rows_by_window"
    place = seeded.query(
        "SELECT DISTINCT concat(log_id, ' ', topic, ' ', toString(partition)) AS place "
        "FROM ingest_positions ORDER BY place LIMIT 1"
    ).result_rows[0]

    def events(**values: Any) -> tuple[int, int]:
        rows = ask(seeded, name, **values)[1]
        return sum(r["done_events"] for r in rows), sum(r["in_flight_events"] for r in rows)

    all_done, none_left = events()
    assert all_done > 0
    some_done, some_left = events(partitions=[place[0]], positions=[1])
    assert some_done + some_left == all_done + none_left
    assert some_left > none_left


def test_a_query_takes_exactly_the_parameters_of_its_file() -> None:
    query = load_query("verify/windows")
    assert query.parameters == {"low_us": "Int64", "high_us": "Int64"}
    with pytest.raises(TypeError, match=r"verify/windows\.sql takes the parameters"):
        query.bound({"database": "d"}, ["low_us"])
    with pytest.raises(TypeError, match="takes the names"):
        query.bound({}, ["low_us", "high_us"])
    with pytest.raises(ConfigError, match="which is no name in SQL"):
        query.bound({"database": "d; DROP"}, ["low_us", "high_us"])
    with pytest.raises(ConfigError, match="reinstall"):
        load_query("verify/nothing")
