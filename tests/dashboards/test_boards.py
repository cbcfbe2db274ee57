"""Every query of every board runs for every choice of its reader, and its answer fits the panel."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from tests.sampling import share
from tests.sql.cookbook_calls import NOW, seed
from tokentide_dashboards.boards.every import BOARDS
from tokentide_dashboards.boards.overview_attention import ATTENTION, PLAN
from tokentide_dashboards.check.browser import expand
from tokentide_dashboards.check.choice import choose
from tokentide_dashboards.check.columns import unfit
from tokentide_dashboards.check.lint import queries
from tokentide_dashboards.check.time_range import TimeRange, interval_ms
from tokentide_dashboards.kit.json_value import Object
from tokentide_jobs.io.schema.sql_template import SqlTarget, render, split_statements

pytestmark = pytest.mark.integration

HERE = Path(__file__).parent
MADE = [board.json() for board in BOARDS]
HOSTILE = "it's a \\' OR 1=1 -- /* back\\slash"
OF_NOW = "what ClickHouse logged is of now, and the seed of another day: test_query_costs.py"
NOTHING_HERE: dict[str, str] = {
    "tokentide-pipeline panel 'What queries cost, by account' A": OF_NOW,
    "tokentide-pipeline panel 'CPU of queries by account' A": OF_NOW,
}
"""Queries of panels that answer nothing on the seed, by their names, and why."""
SEEN_TWICE = (
    "INSERT INTO alert_events SELECT * REPLACE(leftPad('x', 32, 'x') AS id,"
    " leftPad('y', 32, 'y') AS alert_id, leftPad('z', 32, 'z') AS identity,"
    " map('service', 'chat') AS dimensions,"
    " 'anomaly' AS kind) FROM alert_events WHERE kind = 'anomaly' AND state = 'open' LIMIT 1"
)
"""The same calls seen as those of a service: another key, the same numbers at the same time."""
MANY = (
    "INSERT INTO alert_events SELECT * REPLACE({0} AS id, {0} AS alert_id, {0} AS identity)"
    " FROM alert_events WHERE kind = 'budget' AND state = 'open'"
).format("leftPad(toString(arrayJoin(range(30))), 32, 'm')")
TEN = NOW.replace(hour=10, minute=30, second=0, microsecond=0)
WRONG = "costs three times what it did"
OVERSPENT = (
    "INSERT INTO budget_status SELECT * REPLACE(252 * toInt128(1000000000000) AS spent_pico_usd,"
    " at + toIntervalSecond(1) AS at) FROM budget_status FINAL WHERE budget = 'search'"
)


def span(days: float, end: dt.datetime = NOW) -> TimeRange:
    end_ms = int(end.timestamp() * 1_000)
    length_ms = int(days * 86_400_000)
    return TimeRange(end_ms - length_ms, end_ms, interval_ms(length_ms, 800))


def asked(
    client: Client, span: TimeRange, *values: str, boards: Sequence[Object] = MADE
) -> Iterator[tuple[str, Object, Object]]:
    """Yield every query of every board: its name, its panel, and columns and number of rows."""
    for board in boards:
        picked = choose(board, span, lambda sql: client.query(sql).result_rows, *values)
        for place, of, sql in queries(board):
            name = f"{board['uid']} {place}"
            text = expand(sql, span, picked)
            try:
                answer = client.query(text)
            except ClickHouseError as error:
                pytest.fail(f"{name} for {values or 'All'}: {error}\n{text}")
            columns = {
                column: kind.name
                for column, kind in zip(answer.column_names, answer.column_types, strict=True)
            }
            yield name, of, {"columns": columns, "rows": answer.result_rows}


def seed_all(client: Client) -> None:
    """Store calls, and what the detect job would have found in them."""
    seed(client)
    database = str(client.command("SELECT currentDatabase()"))
    text = (HERE / "detection_seed.sql").read_text("utf-8")
    for statement in split_statements(render(text, SqlTarget(database))):
        client.command(statement)


def planned(client: Client) -> list[tuple[object, object]]:
    """Return where each budget is expected to end, and why that is not shown."""
    assert isinstance(PLAN.sql, str)
    rows = client.query(expand(PLAN.sql, span(1), {})).result_rows
    return [(row[5], row[8]) for row in rows]


def attention(client: Client, end: dt.datetime = NOW) -> list[dict[str, object]]:
    """Return what needs attention at the end of a range."""
    assert isinstance(ATTENTION.sql, str)
    return list(client.query(expand(ATTENTION.sql, span(1, end), {})).named_results())


def is_empty(rows: list[tuple[object, ...]]) -> bool:
    return all(value is None for row in rows for value in row)


def test_every_query_runs_and_every_panel_shows_something(sql_client: Client) -> None:
    for _asked in asked(sql_client, span(0), HOSTILE):
        pass  # on a database without rows none may fail, whatever is chosen
    seed_all(sql_client)

    wrong, empty = [], set()
    for name, of, answer in asked(sql_client, span(1)):
        if not name.partition(" ")[2].startswith("panel"):
            continue
        if is_empty(answer["rows"]):
            empty.add(name)  # without a row an answer has no columns, either
        else:
            wrong += [f"{name}: {problem}" for problem in unfit(of, answer["columns"])]
    assert wrong == []
    assert empty == set(NOTHING_HERE)

    # One row an incident; without new data the first one says so, and of others nothing is known.
    before = attention(sql_client)
    sql_client.command(SEEN_TWICE)
    after = attention(sql_client)
    assert len(after) == len(before)
    (twice,) = [row for row in after if row["alerts"] == 2]
    assert str(twice["what_is_wrong"]).endswith("; also model gpt-4.1, provider openai")
    assert (twice["state"], twice["perhaps"]) == ("calls stopped", "prompt answer v1 -> v2")
    later = attention(sql_client, NOW + dt.timedelta(hours=3))
    assert [row["state"] for row in later] == ["no data", "unknown: no data"]

    # A change that has nothing in common with the alert is not named.
    ended = [row for row in attention(sql_client, TEN) if row["state"] == "ended"]
    assert [(row["what_is_wrong"], row["perhaps"]) for row in ended] == [(WRONG, "")]

    # More than the table holds are not left out unsaid.
    sql_client.command(MANY)
    *_, last = attention(sql_client)
    assert str(last["what_is_wrong"]).endswith(". And 11 rows more: board Alerts.")

    # No end of a period is shown below what is spent, and the board states why.
    assert (105.0, "60 min old") in planned(sql_client)
    sql_client.command(OVERSPENT)
    assert (None, "out of date: more is spent since") in planned(sql_client)

    several = share(MADE, 3)  # the first pass has chosen a value in every query
    for _asked in asked(sql_client, span(30), "acme", "globex", HOSTILE, boards=several):
        pass


def test_a_column_that_was_renamed_fails_by_name(sql_client: Client) -> None:
    renamed = MADE[0] | {
        "panels": [
            {
                "title": "Spent",
                "targets": [{"refId": "A", "rawSql": "SELECT sum(cost_pico) FROM windows_1m"}],
            }
        ]
    }
    with pytest.raises(pytest.fail.Exception, match=r"panel 'Spent' A for All: .*`?cost_pico`?"):
        list(asked(sql_client, span(1), boards=[renamed]))
