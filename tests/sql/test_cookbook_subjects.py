"""The cookbook's questions about users, keys, agents, runs and tools, with known answers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest
from clickhouse_connect.driver.client import Client

from tests.sql.cookbook_calls import Call, ask, calls, moment, seed, since, usd

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def seeded(sql_client: Client) -> Client:
    seed(sql_client)
    return sql_client


def test_each_kind_of_subject_sums_its_calls(seeded: Client) -> None:
    rows = ask(seeded, "Who spends most: which user, key, agent, tool or MCP server?")
    found = {(row["kind"], row["subject"]): (row["calls"], row["usd"]) for row in rows}
    week = [c for c in calls() if c.at.date() >= moment(11, 12).date()]
    subjects: list[tuple[str, str, Callable[[Call], bool]]] = [
        ("key", "key_0", lambda c: c.n % 2 == 0),
        ("agent", "researcher", lambda c: c.n // 12 % 2 == 1),
        ("tool", "search", lambda c: c.n % 3 == 0),
        ("mcp_server", "web", lambda c: c.n % 3 == 0),
    ]
    for kind, subject, of in subjects:
        mine = [c for c in week if of(c)]
        assert found[kind, subject] == (len(mine), usd(mine)), kind
    assert sum(row["percent_of_kind"] for row in rows if row["kind"] == "key") == 100


def test_a_run_is_one_row_with_its_nesting(seeded: Client) -> None:
    question = "Which runs were the most expensive, and how deep did they nest?"
    day: dict[str, list[Call]] = {}
    for call in since(1):
        day.setdefault(call.run, []).append(call)
    for row in ask(seeded, question):
        assert row["run"] in day
        mine = [c for c in calls() if c.run == row["run"]]
        number, place = mine[0].n // 12, mine[0].n % 3
        assert (row["calls"], row["cost_usd"]) == (len(mine), usd(mine))
        assert row["agent"] == ("planner", "researcher")[number % 2]
        assert row["parent_run"] == (f"r{number - 1}-{place}" if number % 2 else "")
        has_child = f"r{number + 1}-{place}" in day and number % 2 == 0
        assert row["deepest_nesting"] == int(has_child)
        ends = max(c.at + dt.timedelta(milliseconds=500 + c.n * 37 % 4000) for c in mine)
        assert row["seconds"] == round((ends - mine[0].at).total_seconds())
    roots = ask(seeded, "What did a run cost together with the runs it started?")
    for row in roots:
        assert int(row["root"][1:].partition("-")[0]) % 2 == 0
        assert row["runs"] in (1, 2)


def test_agents_are_counted_by_day_with_their_runs(seeded: Client) -> None:
    rows = ask(seeded, "What does each agent cost a day, and one run of it?")
    assert {row["agent"] for row in rows} == {"planner", "researcher"}
    for row in rows:
        mine = [
            c
            for c in calls()
            if c.at.date() == row["day"]
            and ("planner", "researcher")[c.n // 12 % 2] == row["agent"]
        ]
        assert (row["calls"], row["usd"]) == (len(mine), usd(mine))
        assert row["runs"] == len({c.run for c in mine})
        assert row["tool_calls"] == 2 * sum(c.n % 5 == 0 for c in mine)


def test_sums_by_subject_agree_with_raw_rows_in_every_hour(seeded: Client) -> None:
    rows = ask(seeded, "Do sums by subject and raw rows agree, to the last pico-dollar?")
    assert {row["kind"] for row in rows} == {"user", "key", "agent", "run", "tool", "mcp_server"}
    assert all(row["agree"] for row in rows)
