"""Every query of the cookbook is answered as a computation without SQL answers it.

One database, filled in three steps of time; at each of them every question is asked once.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

import clickhouse_connect
import polars as pl
import pytest
from clickhouse_connect.driver.exceptions import ClickHouseError

from tests.databases import migrated
from tests.sql.cookbook import latency, money, pipeline, quality, subjects
from tests.sql.cookbook.registry import ANSWERS
from tests.sql.cookbook.stored import Stored, ask, ingest, recipes
from tests.sql.cookbook.traffic import DEPLOYED, NOWS
from tokentide_jobs.io.schema.sql_files import sql_root

COMPUTATIONS = (latency, money, pipeline, quality, subjects)
RECIPES = recipes()
HISTOGRAM_ERROR = 0.0101
Rows = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Asked:
    """Answers by question and moment; an answer may be the error that came instead."""

    answers: Mapping[tuple[str, dt.datetime], Rows | ClickHouseError]
    stored: Mapping[dt.datetime, Stored]
    way_back: list[Rows]

    def rows(self, question: str, now: dt.datetime) -> Rows:
        answer = self.answers[question, now]
        if isinstance(answer, ClickHouseError):
            raise answer
        return answer


@pytest.fixture(scope="module")
def asked(sql_server: str) -> Asked:
    found: dict[tuple[str, dt.datetime], Rows | ClickHouseError] = {}
    at: dict[dt.datetime, Stored] = {}
    with (
        migrated(sql_server) as store,
        clickhouse_connect.get_client(
            dsn=sql_server, database=store.database, autogenerate_session_id=False
        ) as client,
    ):
        for stored in ingest(store, client):
            at[stored.now] = stored
            for question, query in RECIPES.items():
                try:
                    found[question, stored.now] = ask(client, query, stored.now)
                except ClickHouseError as exc:
                    found[question, stored.now] = exc
        page = (sql_root().parent / "docs" / "architecture.md").read_text("utf-8")
        queries = re.findall(r"```sql\n(.*?)```", page, re.DOTALL)
        way_back = [ask(client, query, NOWS[-1]) for query in queries]
    return Asked(found, at, way_back)


def test_every_question_has_a_computation_without_sql_and_the_other_way_round() -> None:
    assert len(COMPUTATIONS) == 5
    assert ANSWERS.keys() == RECIPES.keys()
    text = (sql_root() / "cookbook.md").read_text("utf-8")
    assert len(RECIPES) == text.count("```sql") == text.count("\n## ")


def tolerances(query: str) -> dict[str, tuple[float, float]]:
    """Return how far columns may be off, in parts of the value and outright: by their rounding."""
    found = {}
    for rounded in re.finditer(r"round\((.*?)(?:, (\d+))?\) AS (\w+)", query):
        of_histogram = HISTOGRAM_ERROR if "_from_hist" in rounded[1] else 0.0
        found[rounded[3]] = (of_histogram, 0.5 * 10.0 ** -int(rounded[2] or 0))
    for name in re.findall(r"_from_hist\([^\n]* AS (\w+)", query):
        found.setdefault(name, (HISTOGRAM_ERROR, 0.0))
    if "slower_percent" in found:  # by two percentiles
        found["slower_percent"] = (0.0, 5.0)
    return found


def plain(value: Any) -> Any:
    """Return a value as computations give it: dollars as pico-dollars, times with their zone."""
    if isinstance(value, Decimal):
        return int(value.scaleb(12))
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, dt.datetime) and value.tzinfo is None:
        return value.replace(tzinfo=dt.UTC)
    return value


def place(row: Mapping[str, Any]) -> str:
    """Order rows by what is exact in them."""
    return repr(sorted(row.items()))


@pytest.mark.integration
@pytest.mark.parametrize("question", RECIPES)
def test_a_query_answers_as_the_computation_does(asked: Asked, question: str) -> None:
    answer, query = ANSWERS[question], RECIPES[question]
    may_be_off = tolerances(query)
    for now, stored in asked.stored.items():
        expected = answer.compute(stored).to_dicts()
        names = set(expected[0]) if expected else set()
        rows = [
            {name: plain(value) for name, value in row.items() if name not in answer.unknown}
            for row in asked.rows(question, now)
        ]
        if question == "How much room does an event take on disk?":
            rows = [row for row in rows if row["table"] in {one["table"] for one in expected}]
        assert {name for row in rows for name in row} == names, now
        loose = {name for name in names if name in may_be_off or isinstance(rows[0][name], float)}
        exact = names - loose
        rows.sort(key=lambda row: place({name: row[name] for name in exact}))
        expected.sort(key=lambda row: place({name: row[name] for name in exact}))
        assert [{n: row[n] for n in exact} for row in rows] == [
            {n: row[n] for n in exact} for row in expected
        ], now
        for row, wanted in zip(rows, expected, strict=True):
            for name in loose:
                by, outright = may_be_off.get(name, (0.0, 0.0))
                value: Any = wanted[name]
                if value is not None:
                    near = outright * (1 + 1e-6) + 1e-9
                    value = pytest.approx(value, rel=by + 1e-9, abs=near)
                assert row[name] == value, (now, name, row, wanted)
    assert asked.rows(question, NOWS[-1]), "no rows to compare"


@pytest.mark.integration
def test_a_deploy_within_the_hour_is_separated_from_what_came_before_it(asked: Asked) -> None:
    question = "What happened in the day before and the day after each change?"
    rows = asked.rows(question, NOWS[-1])
    found = {(plain(row["changed_at"]), row["environment"]): row for row in rows}
    mine = found[DEPLOYED, "production"]
    assert (mine["calls_after"], mine["error_percent_after"]) == (14, 71.43)
    assert mine["calls_before"] >= 12 and mine["error_percent_before"] < 30


@pytest.mark.integration
def test_the_way_from_a_number_back_to_its_record_runs(asked: Asked) -> None:
    spend, calls, batches = asked.way_back
    requests, a_day_ago = asked.stored[NOWS[-1]].requests, NOWS[-1] - dt.timedelta(days=1)
    hours = requests.filter(pl.col("hour") >= a_day_ago)
    assert sum(plain(row["usd"]) for row in spend) == hours["usd"].sum()
    most_expensive = {name: plain(value) for name, value in calls[0].items()}
    of_team = requests.filter((pl.col("at") >= a_day_ago) & (pl.col("team") == "search"))
    first = of_team.sort("usd", nulls_last=True, descending=True).row(0, named=True)
    assert (most_expensive["event_id"], most_expensive["cost_usd"]) == (
        first["event_id"],
        first["usd"],
    )
    [batch] = [row for row in batches if str(row["event_id"]) == most_expensive["event_id"]]
    assert batch["start_offset"] <= most_expensive["_offset"] < batch["end_offset"]
