"""Every query of the cookbook runs on seven weeks of arithmetic traffic; many answers are known."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from tokentide_jobs.io.schema.sql_files import sql_root
from tokentide_jobs.io.schema.sql_template import SqlTarget, render, split_statements

pytestmark = pytest.mark.integration


def _moment(month: int, day: int, hour: int = 0) -> dt.datetime:
    return dt.datetime(2026, month, day, hour, tzinfo=dt.UTC)


NOW = _moment(11, 18, 12)
FIRST = _moment(10, 1)
STEP = dt.timedelta(seconds=350)
PICO = 10**12
SEED = Path(__file__).parent / "data" / "cookbook_seed.sql"


def _recipes() -> dict[str, str]:
    text = (sql_root() / "cookbook.md").read_text("utf-8")
    sections = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    recipes = {}
    for section in sections:
        question, _newline, body = section.partition("\n")
        (recipes[question],) = re.findall(r"```sql\n(.*?)```", body, re.DOTALL)
    return recipes


RECIPES = _recipes()


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the seed, worked out here a second time from its number."""

    n: int

    @property
    def at(self) -> dt.datetime:
        return FIRST + self.n * STEP

    @property
    def model(self) -> str:
        return ("gpt-4.1-mini", "claude-sonnet-4", "gpt-4.1", "mystery-1")[self.n % 4]

    @property
    def tenant(self) -> str:
        return ("acme", "globex", "initech")[self.n % 3]

    @property
    def team(self) -> str:
        return ("search", "support")[self.n % 2]

    @property
    def run(self) -> str:
        return f"r{self.n // 12}-{self.n % 3}"

    @property
    def is_v2(self) -> bool:
        return self.at >= _moment(11, 10)

    @property
    def status(self) -> str:
        if self.n % 50 == 7:
            return "error"
        if self.n % 97 == 11:
            return "refused"
        return "cancelled" if self.n % 101 == 13 else "ok"

    @property
    def has_usage(self) -> bool:
        return self.n % 100 != 7 and self.n % 200 != 10

    @property
    def is_priced(self) -> bool:
        return self.n % 4 != 3 and self.has_usage

    @property
    def read(self) -> int:
        return 512 if self.n % 3 == 0 else 0

    @property
    def written(self) -> int:
        return 200 if self.n % 4 == 1 and self.n % 5 == 0 else 0

    @property
    def uncached(self) -> int:
        return 1000 + self.n % 500 - self.read - self.written

    @property
    def output(self) -> int:
        return (100 + self.n % 200) * (2 if self.is_v2 else 1)

    @property
    def rates(self) -> tuple[int, int, int, int]:
        """Pico-USD per token: input, cache read, cache write, output."""
        return (
            (400_000, 100_000, 0, 1_600_000),
            (3_000_000, 300_000, 3_750_000, 15_000_000),
            (2_000_000, 500_000, 0, 8_000_000),
            (0, 0, 0, 0),
        )[self.n % 4]

    @property
    def cost(self) -> int:
        if not self.is_priced:
            return 0
        amounts = (self.uncached, self.read, self.written, self.output)
        return sum(a * r for a, r in zip(amounts, self.rates, strict=True))


@cache
def _calls() -> tuple[Call, ...]:
    calls = (Call(n) for n in range(11972))
    return tuple(call for call in calls if call.at < NOW)


def _since(days: float) -> list[Call]:
    return [call for call in _calls() if call.at >= NOW - dt.timedelta(days=days)]


def _usd(calls: Iterable[Call]) -> Decimal:
    return Decimal(sum(call.cost for call in calls)) / PICO


@pytest.fixture(scope="module")
def seeded(sql_client: Client) -> Client:
    database = str(sql_client.command("SELECT currentDatabase()"))
    tables = sql_client.query(
        "SELECT name FROM system.tables WHERE database = currentDatabase()"
        " AND engine_full LIKE '% TTL %'"
    ).result_columns[0]
    for table in tables:
        # The seed has fixed dates: retention would drop it one day.
        sql_client.command(f"ALTER TABLE {table} REMOVE TTL")
    for statement in split_statements(render(SEED.read_text("utf-8"), SqlTarget(database))):
        sql_client.command(statement, settings={"max_partitions_per_insert_block": 0})
    return sql_client


def _ask(client: Client, question: str) -> list[dict[str, Any]]:
    return _run(client, RECIPES[question])


def _run(client: Client, recipe: str) -> list[dict[str, Any]]:
    query = recipe.replace("now('UTC')", f"toDateTime('{NOW:%F %T}', 'UTC')")
    assert "now()" not in query and "today()" not in query, "write now('UTC')"
    return list(client.query(query).named_results())


def test_the_seed_is_what_this_module_works_out(seeded: Client) -> None:
    calls, pico = seeded.query("SELECT count(), sum(cost_pico_usd) FROM requests").result_rows[0]
    assert (calls, pico) == (len(_calls()), sum(call.cost for call in _calls()))


def test_there_are_at_least_two_dozen_questions() -> None:
    assert len(RECIPES) >= 24
    text = (sql_root() / "cookbook.md").read_text("utf-8")
    assert len(RECIPES) == text.count("```sql") == text.count("\n## ")


@pytest.mark.parametrize("question", RECIPES)
def test_every_query_answers_its_question(seeded: Client, question: str) -> None:
    assert _ask(seeded, question), "no rows"


def test_the_way_from_a_number_back_to_its_record_runs(seeded: Client) -> None:
    page = (sql_root().parent / "docs" / "architecture.md").read_text("utf-8")
    spend, calls, batches = re.findall(r"```sql\n(.*?)```", page, re.DOTALL)
    assert sum(row["usd"] for row in _run(seeded, spend)) > 0
    (dearest, *_others) = _run(seeded, calls)
    assert (dearest["log_id"], dearest["_topic"]) == ("log-1", "tokentide.events.v1")
    start, end = dearest["_offset"], dearest["_offset"] + 1
    for first, last in ((start, end), (end, end + 9)):
        seeded.command(
            "INSERT INTO ingest_intents (log_id, topic, partition, start_offset, end_offset)"
            f" VALUES ('log-1', 'tokentide.events.v1', {dearest['_partition']}, {first}, {last})"
        )
    try:
        found = {row["event_id"]: row for row in _run(seeded, batches)}
        assert found[dearest["event_id"]]["start_offset"] == start
    finally:
        seeded.command("TRUNCATE TABLE ingest_intents")


def test_team_spend_is_compared_up_to_the_same_moment(seeded: Client) -> None:
    rows = {
        row["team"]: row
        for row in _ask(
            seeded,
            "What does each team spend this month, against last month up to the same moment?",
        )
    }
    assert set(rows) == {"search", "support"}
    for team, row in rows.items():
        mine = [call for call in _calls() if call.team == team]
        november = [call for call in mine if call.at.month == 11]
        october = [call for call in mine if call.at.month == 10]
        to_date = [call for call in october if call.at < _moment(10, 18, 12)]
        assert row["this_month_usd"] == _usd(november)
        assert row["last_month_usd"] == _usd(october)
        assert row["last_month_to_date_usd"] == _usd(to_date)


def test_the_forecast_draws_a_straight_line(seeded: Client) -> None:
    for row in _ask(seeded, "What will this month cost if it goes on like this?"):
        spent = _usd(c for c in _calls() if c.at.month == 11 and c.tenant == row["tenant"])
        assert row["spent_usd"] == spent
        assert row["forecast_usd"] == pytest.approx(float(spent) / (17.5 / 30), abs=0.01)


def test_spend_by_model_adds_up_by_class(seeded: Client) -> None:
    for row in _ask(seeded, "Which models take the money, and which kind of token?"):
        start = _moment(10, 19)
        mine = [c for c in _calls() if c.at >= start and c.model == row["model"] and c.is_priced]
        assert row["input_usd"] == Decimal(sum(c.uncached * c.rates[0] for c in mine)) / PICO
        assert row["cache_read_usd"] == Decimal(sum(c.read * c.rates[1] for c in mine)) / PICO
        assert row["cache_write_usd"] == Decimal(sum(c.written * c.rates[2] for c in mine)) / PICO
        assert row["output_usd"] == Decimal(sum(c.output * c.rates[3] for c in mine)) / PICO
        assert row["usd"] == _usd(mine)


def test_cache_savings_are_what_the_tokens_would_have_cost(seeded: Client) -> None:
    rows = {row["model"]: row for row in _ask(seeded, "What do prompt caches save?")}
    assert set(rows) == {"gpt-4.1-mini", "claude-sonnet-4", "gpt-4.1"}
    for model, row in rows.items():
        mine = [c for c in _since(30) if c.model == model and c.is_priced]
        saved = sum(c.read * (c.rates[0] - c.rates[1]) for c in mine)
        extra = sum(c.written * (c.rates[2] - c.rates[0]) for c in mine)
        assert row["saved_by_reads_usd"] == Decimal(saved) / PICO
        assert row["extra_for_writes_usd"] == Decimal(extra) / PICO
        assert row["saved_usd"] == Decimal(saved - extra) / PICO


def test_failed_calls_have_their_price(seeded: Client) -> None:
    rows = {row["model"]: row for row in _ask(seeded, "What do failed calls and retries cost?")}
    claude = [c for c in _since(7) if c.model == "claude-sonnet-4"]
    failed = [c for c in claude if c.status == "error"]
    assert rows["claude-sonnet-4"]["errors"] == len(failed) > 0
    assert rows["claude-sonnet-4"]["errors_usd"] == _usd(failed) > 0
    assert rows["claude-sonnet-4"]["usd"] == _usd(claude)


def test_unpriced_traffic_is_told_apart_by_cause(seeded: Client) -> None:
    rows = _ask(seeded, "How much traffic has no price, and what might it cost?")
    found = {(row["model"], row["cause"]): row["calls"] for row in rows}
    start = _moment(10, 19)
    unpriced = [c for c in _calls() if c.at >= start and not c.is_priced]
    assert found == {
        ("mystery-1", "no price"): sum(c.has_usage for c in unpriced if c.model == "mystery-1"),
        ("mystery-1", "usage missing"): sum(
            not c.has_usage for c in unpriced if c.model == "mystery-1"
        ),
        ("gpt-4.1", "usage missing"): sum(c.model == "gpt-4.1" for c in unpriced),
    }


def test_a_feature_is_priced_per_thousand_priced_calls(seeded: Client) -> None:
    rows = _ask(seeded, "What do a thousand requests of each feature cost?")
    for row in rows:
        start = _moment(11, 11, 12)
        mine = [
            c
            for c in _calls()
            if c.at >= start and ("answer", "rewrite", "classify")[c.n // 2 % 3] == row["feature"]
        ]
        priced = [c for c in mine if c.is_priced]
        assert row["calls"] == len(mine)
        expected = 1000 * float(_usd(priced)) / len(priced)
        assert row["usd_per_1k_priced_calls"] == pytest.approx(expected, abs=1e-4)


def test_both_price_versions_are_told_apart(seeded: Client) -> None:
    rows = _ask(seeded, "Which price version priced what?")
    for version, month in (("2026-09-30", 10), ("2026-10-31", 11)):
        mine = [row for row in rows if row["price_version"] == version]
        calls = [c for c in _calls() if c.at.month == month]
        assert sum(row["calls"] for row in mine) == len(calls)
        assert sum(row["usd"] or 0 for row in mine) == _usd(calls)


def test_percentiles_are_within_one_percent_of_the_raw_calls(seeded: Client) -> None:
    rows = _ask(seeded, "What are p95 latency and time to first token by model?")
    for row in rows:
        durations = sorted(500 + c.n * 37 % 4000 for c in _since(1) if c.model == row["model"])
        exact = durations[-(-95 * len(durations) // 100) - 1]
        assert row["calls"] == len(durations)
        assert row["latency_p95_ms"] == pytest.approx(exact, rel=0.011)


def test_distinct_users_are_counted_by_day(seeded: Client) -> None:
    rows = _ask(seeded, "How many different users a day, and what does one cost?")
    for row in rows:
        mine = [c for c in _calls() if c.at.date() == row["day"]]
        assert row["users"] == len({c.n % 211 for c in mine})
        assert row["usd"] == _usd(mine)


def test_a_new_prompt_version_shows_in_cost_length_and_quality(seeded: Client) -> None:
    rows = _ask(seeded, "What did a new prompt version do to cost, length and quality?")
    by_version = {(row["prompt_name"], row["prompt_version"]): row for row in rows}
    before = by_version["answer-with-sources", "v1"]
    after = by_version["answer-with-sources", "v2"]
    assert after["usd_per_priced_call"] > before["usd_per_priced_call"]
    ratio = after["output_tokens_per_call"] / before["output_tokens_per_call"]
    assert ratio == pytest.approx(2, rel=0.05)
    assert (before["mean_score"], after["mean_score"]) == (0.75, 0.9)


def test_refused_events_are_counted_by_reason_without_the_replayed(seeded: Client) -> None:
    rows = _ask(seeded, "What is refused, and why?")
    dead_letters = {(row["reason"], row["field"]): row["dead_letters"] for row in rows}
    assert dead_letters == {("malformed_json", ""): 20, ("missing_field", "service"): 9}


def test_producer_loss_is_read_from_the_last_report_of_each(seeded: Client) -> None:
    rows = {row["service"]: row for row in _ask(seeded, "Do producers drop events?")}
    assert rows["rag-worker"]["dropped_in_all"] == 3 * 48
    assert rows["chat-api"]["dropped_in_all"] == 0
    assert rows["rag-worker"]["dropped_percent"] == 3.0


def test_each_kind_of_subject_sums_its_calls(seeded: Client) -> None:
    rows = _ask(seeded, "Who spends most: which user, key, agent, tool or MCP server?")
    found = {(row["kind"], row["subject"]): (row["calls"], row["usd"]) for row in rows}
    week = [c for c in _calls() if c.at.date() >= _moment(11, 12).date()]
    subjects: list[tuple[str, str, Callable[[Call], bool]]] = [
        ("key", "key_0", lambda c: c.n % 2 == 0),
        ("agent", "researcher", lambda c: c.n // 12 % 2 == 1),
        ("tool", "search", lambda c: c.n % 3 == 0),
        ("mcp_server", "web", lambda c: c.n % 3 == 0),
    ]
    for kind, subject, of in subjects:
        mine = [c for c in week if of(c)]
        assert found[kind, subject] == (len(mine), _usd(mine)), kind
    assert sum(row["percent_of_kind"] for row in rows if row["kind"] == "key") == 100


def test_a_run_is_one_row_with_its_nesting(seeded: Client) -> None:
    question = "Which runs were the most expensive, and how deep did they nest?"
    day: dict[str, list[Call]] = {}
    for call in _since(1):
        day.setdefault(call.run, []).append(call)
    for row in _ask(seeded, question):
        assert row["run"] in day
        mine = [c for c in _calls() if c.run == row["run"]]
        number, place = mine[0].n // 12, mine[0].n % 3
        assert (row["calls"], row["cost_usd"]) == (len(mine), _usd(mine))
        assert row["agent"] == ("planner", "researcher")[number % 2]
        assert row["parent_run"] == (f"r{number - 1}-{place}" if number % 2 else "")
        has_child = f"r{number + 1}-{place}" in day and number % 2 == 0
        assert row["deepest_nesting"] == int(has_child)
        ends = max(c.at + dt.timedelta(milliseconds=500 + c.n * 37 % 4000) for c in mine)
        assert row["seconds"] == round((ends - mine[0].at).total_seconds())
    roots = _ask(seeded, "What did a run cost together with the runs it started?")
    for row in roots:
        assert int(row["root"][1:].partition("-")[0]) % 2 == 0
        assert row["runs"] in (1, 2)


def test_agents_are_counted_by_day_with_their_runs(seeded: Client) -> None:
    rows = _ask(seeded, "What does each agent cost a day, and one run of it?")
    assert {row["agent"] for row in rows} == {"planner", "researcher"}
    for row in rows:
        mine = [
            c
            for c in _calls()
            if c.at.date() == row["day"]
            and ("planner", "researcher")[c.n // 12 % 2] == row["agent"]
        ]
        assert (row["calls"], row["usd"]) == (len(mine), _usd(mine))
        assert row["runs"] == len({c.run for c in mine})
        assert row["tool_calls"] == 2 * sum(c.n % 5 == 0 for c in mine)


def test_sums_by_subject_agree_with_raw_rows_in_every_hour(seeded: Client) -> None:
    rows = _ask(seeded, "Do sums by subject and raw rows agree, to the last pico-dollar?")
    assert {row["kind"] for row in rows} == {"user", "key", "agent", "run", "tool", "mcp_server"}
    assert all(row["agree"] for row in rows)


def test_windows_agree_with_raw_rows_on_every_day(seeded: Client) -> None:
    rows = _ask(seeded, "Do windows and raw rows agree, to the last pico-dollar?")
    assert len(rows) == 8 and all(row["agree"] for row in rows)


def test_the_ledger_tells_positions_and_delays(seeded: Client) -> None:
    health = _ask(seeded, "Is every partition being ingested, without holes?")
    assert [row["partition"] for row in health] == [0, 1, 2, 3]
    assert {(r["position"], r["open_batches"], r["missing_offsets"]) for r in health} == {
        (14400, 0, 0)
    }
    delays = _ask(seeded, "How long until an event can be queried?")
    assert {row["p99_delay_ms"] for row in delays} == {500}


@pytest.mark.parametrize(
    ("question", "key", "of"),
    [
        ("Which prompts are the most expensive?", "usd", lambda c: True),
        ("How many answers are cut off at the token limit?", "truncated_percent", None),
    ],
)
def test_shares_and_sums_over_a_week_add_up(
    seeded: Client, question: str, key: str, of: Callable[[Call], bool] | None
) -> None:
    rows = _ask(seeded, question)
    week = [c for c in _calls() if c.at >= _moment(11, 11, 12)]
    if of is not None:
        assert sum(row[key] for row in rows) == _usd(week)
    else:
        truncated = sum(row["calls"] * row[key] / 100 for row in rows)
        assert truncated == pytest.approx(sum(c.n % 20 == 4 for c in week), abs=1)
