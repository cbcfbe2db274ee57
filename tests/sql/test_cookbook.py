"""Every query of the cookbook runs on seven weeks of arithmetic traffic; many answers are known."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal

import pytest
from clickhouse_connect.driver.client import Client

from tests.sql.cookbook_calls import PICO, RECIPES, Call, ask, calls, moment, run, seed, since, usd
from tokentide_jobs.io.schema.sql_files import sql_root

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def seeded(sql_client: Client) -> Client:
    seed(sql_client)
    return sql_client


def test_the_seed_is_what_this_module_works_out(seeded: Client) -> None:
    count, pico = seeded.query("SELECT count(), sum(cost_pico_usd) FROM requests").result_rows[0]
    assert (count, pico) == (len(calls()), sum(call.cost for call in calls()))


def test_there_are_at_least_two_dozen_questions() -> None:
    assert len(RECIPES) >= 24
    text = (sql_root() / "cookbook.md").read_text("utf-8")
    assert len(RECIPES) == text.count("```sql") == text.count("\n## ")


@pytest.mark.parametrize("question", RECIPES)
def test_every_query_answers_its_question(seeded: Client, question: str) -> None:
    assert ask(seeded, question), "no rows"


def test_the_way_from_a_number_back_to_its_record_runs(seeded: Client) -> None:
    page = (sql_root().parent / "docs" / "architecture.md").read_text("utf-8")
    spend, calls, batches = re.findall(r"```sql\n(.*?)```", page, re.DOTALL)
    assert sum(row["usd"] for row in run(seeded, spend)) > 0
    (dearest, *_others) = run(seeded, calls)
    assert (dearest["log_id"], dearest["_topic"]) == ("log-1", "tokentide.events.v1")
    start, end = dearest["_offset"], dearest["_offset"] + 1
    for first, last in ((start, end), (end, end + 9)):
        seeded.command(
            "INSERT INTO ingest_intents (log_id, topic, partition, start_offset, end_offset)"
            f" VALUES ('log-1', 'tokentide.events.v1', {dearest['_partition']}, {first}, {last})"
        )
    try:
        found = {row["event_id"]: row for row in run(seeded, batches)}
        assert found[dearest["event_id"]]["start_offset"] == start
    finally:
        seeded.command("TRUNCATE TABLE ingest_intents")


def test_team_spend_is_compared_up_to_the_same_moment(seeded: Client) -> None:
    rows = {
        row["team"]: row
        for row in ask(
            seeded,
            "What does each team spend this month, against last month up to the same moment?",
        )
    }
    assert set(rows) == {"search", "support"}
    for team, row in rows.items():
        mine = [call for call in calls() if call.team == team]
        november = [call for call in mine if call.at.month == 11]
        october = [call for call in mine if call.at.month == 10]
        to_date = [call for call in october if call.at < moment(10, 18, 12)]
        assert row["this_month_usd"] == usd(november)
        assert row["last_month_usd"] == usd(october)
        assert row["last_month_to_date_usd"] == usd(to_date)


def test_reported_costs_are_compared_with_ours_to_the_pico_dollar(seeded: Client) -> None:
    question = "Does the computed cost agree with what gateways and coding agents report?"
    [row] = ask(seeded, question)
    both = [c for c in calls() if c.reported is not None and c.at.date() >= moment(10, 21).date()]
    reported = sum(c.reported or 0 for c in both)
    assert (row["source"], row["model"], row["calls"]) == (
        "claude-code", "claude-sonnet-4", len(both),
    )  # fmt: skip
    assert row["calls_that_differ"] == sum(c.n % 20 == 1 for c in both)
    assert row["usd_reported"] == Decimal(reported) / PICO
    assert row["usd_computed"] == usd(both)
    assert row["usd_difference"] == usd(both) - Decimal(reported) / PICO


def test_spend_of_coding_agents_by_developer_tool_and_model(seeded: Client) -> None:
    rows = ask(seeded, "What does each tool cost a team, and a developer who uses it?")
    month = [c for c in calls() if c.tool and c.at >= moment(10, 21)]
    assert {(row["team"], row["tool"]): row["usd"] for row in rows} == {
        (team, tool): usd(c for c in month if (c.team, c.tool) == (team, tool))
        for team, tool in {(c.team, c.tool) for c in month}
    }
    developers = ask(seeded, "What does each developer spend a day, on which tool and model?")
    assert len(developers) == 100
    week = [c for c in calls() if c.tool and c.at >= moment(11, 11)]
    top = developers[0]
    mine = [
        c for c in week
        if (c.at.date(), f"u{c.n % 211}", c.tool) == (top["day"], top["developer"], top["tool"])
    ]  # fmt: skip
    assert top["usd"] == usd(mine)
    agents = ask(seeded, "Which sub-agents take the money of a tool?")
    for tool in ("codex", "claude-code"):
        shares = [row for row in agents if row["tool"] == tool]
        assert sum(row["usd"] for row in shares) == usd(c for c in month if c.tool == tool)
        assert abs(sum(row["percent_of_tool"] for row in shares) - 100) < 1


def test_the_forecast_draws_a_straight_line(seeded: Client) -> None:
    for row in ask(seeded, "What will this month cost if it goes on like this?"):
        spent = usd(c for c in calls() if c.at.month == 11 and c.tenant == row["tenant"])
        assert row["spent_usd"] == spent
        assert row["forecast_usd"] == pytest.approx(float(spent) / (17.5 / 30), abs=0.01)


def test_spend_by_model_adds_up_by_class(seeded: Client) -> None:
    for row in ask(seeded, "Which models take the money, and which kind of token?"):
        start = moment(10, 19)
        mine = [c for c in calls() if c.at >= start and c.model == row["model"] and c.is_priced]
        assert row["input_usd"] == Decimal(sum(c.uncached * c.rates[0] for c in mine)) / PICO
        assert row["cache_read_usd"] == Decimal(sum(c.read * c.rates[1] for c in mine)) / PICO
        assert row["cache_write_usd"] == Decimal(sum(c.written * c.rates[2] for c in mine)) / PICO
        assert row["output_usd"] == Decimal(sum(c.output * c.rates[3] for c in mine)) / PICO
        assert row["usd"] == usd(mine)


def test_cache_savings_are_what_the_tokens_would_have_cost(seeded: Client) -> None:
    rows = {row["model"]: row for row in ask(seeded, "What do prompt caches save?")}
    assert set(rows) == {"gpt-4.1-mini", "claude-sonnet-4", "gpt-4.1"}
    for model, row in rows.items():
        mine = [c for c in since(30) if c.model == model and c.is_priced]
        saved = sum(c.read * (c.rates[0] - c.rates[1]) for c in mine)
        extra = sum(c.written * (c.rates[2] - c.rates[0]) for c in mine)
        assert row["saved_by_reads_usd"] == Decimal(saved) / PICO
        assert row["extra_for_writes_usd"] == Decimal(extra) / PICO
        assert row["saved_usd"] == Decimal(saved - extra) / PICO


def test_failed_calls_have_their_price(seeded: Client) -> None:
    rows = {row["model"]: row for row in ask(seeded, "What do failed calls and retries cost?")}
    claude = [c for c in since(7) if c.model == "claude-sonnet-4"]
    failed = [c for c in claude if c.status == "error"]
    assert rows["claude-sonnet-4"]["errors"] == len(failed) > 0
    assert rows["claude-sonnet-4"]["errors_usd"] == usd(failed) > 0
    assert rows["claude-sonnet-4"]["usd"] == usd(claude)


def test_unpriced_traffic_is_told_apart_by_cause(seeded: Client) -> None:
    rows = ask(seeded, "How much traffic has no price, and what might it cost?")
    found = {(row["model"], row["cause"]): row["calls"] for row in rows}
    start = moment(10, 19)
    unpriced = [c for c in calls() if c.at >= start and not c.is_priced]
    assert found == {
        ("mystery-1", "no price"): sum(c.has_usage for c in unpriced if c.model == "mystery-1"),
        ("mystery-1", "usage missing"): sum(
            not c.has_usage for c in unpriced if c.model == "mystery-1"
        ),
        ("gpt-4.1", "usage missing"): sum(c.model == "gpt-4.1" for c in unpriced),
    }


def test_a_feature_is_priced_per_thousand_priced_calls(seeded: Client) -> None:
    rows = ask(seeded, "What do a thousand requests of each feature cost?")
    for row in rows:
        start = moment(11, 11, 12)
        mine = [
            c
            for c in calls()
            if c.at >= start and ("answer", "rewrite", "classify")[c.n // 2 % 3] == row["feature"]
        ]
        priced = [c for c in mine if c.is_priced]
        assert row["calls"] == len(mine)
        expected = 1000 * float(usd(priced)) / len(priced)
        assert row["usd_per_1k_priced_calls"] == pytest.approx(expected, abs=1e-4)


def test_both_price_versions_are_told_apart(seeded: Client) -> None:
    rows = ask(seeded, "Which price version priced what?")
    for version, month in (("2026-09-30", 10), ("2026-10-31", 11)):
        mine = [row for row in rows if row["price_version"] == version]
        of_month = [c for c in calls() if c.at.month == month]
        assert sum(row["calls"] for row in mine) == len(of_month)
        assert sum(row["usd"] or 0 for row in mine) == usd(of_month)


def test_what_is_exact_and_what_is_not_adds_up(seeded: Client) -> None:
    question = "How much of the spend is exact, and what stands in for the rest?"
    rows = ask(seeded, question)
    mine = [call for call in calls() if call.at >= moment(10, 19)]
    assert {row["price_status"] for row in rows} == {"exact", "unpriced"}
    for status, is_priced in (("exact", True), ("unpriced", False)):
        found = [row for row in rows if row["price_status"] == status]
        same = [call for call in mine if call.is_priced == is_priced]
        assert sum(row["calls"] for row in found) == len(same) > 0
        assert sum(row["usd"] or 0 for row in found) == usd(same)


def test_percentiles_are_within_one_percent_of_the_raw_calls(seeded: Client) -> None:
    rows = ask(seeded, "What are p95 latency and time to first token by model?")
    for row in rows:
        durations = sorted(500 + c.n * 37 % 4000 for c in since(1) if c.model == row["model"])
        exact = durations[-(-95 * len(durations) // 100) - 1]
        assert row["calls"] == len(durations)
        assert row["latency_p95_ms"] == pytest.approx(exact, rel=0.011)


def test_distinct_users_are_counted_by_day(seeded: Client) -> None:
    rows = ask(seeded, "How many different users a day, and what does one cost?")
    for row in rows:
        mine = [c for c in calls() if c.at.date() == row["day"]]
        assert row["users"] == len({c.n % 211 for c in mine})
        assert row["usd"] == usd(mine)


def test_a_new_prompt_version_shows_in_cost_length_and_quality(seeded: Client) -> None:
    rows = ask(seeded, "What did a new prompt version do to cost, length and quality?")
    by_version = {(row["prompt_name"], row["prompt_version"]): row for row in rows}
    before = by_version["answer-with-sources", "v1"]
    after = by_version["answer-with-sources", "v2"]
    assert after["usd_per_priced_call"] > before["usd_per_priced_call"]
    ratio = after["output_tokens_per_call"] / before["output_tokens_per_call"]
    assert ratio == pytest.approx(2, rel=0.05)
    assert (before["mean_score"], after["mean_score"]) == (0.75, 0.9)


def test_refused_events_are_counted_by_reason_without_the_replayed(seeded: Client) -> None:
    rows = ask(seeded, "What is refused, and why?")
    dead_letters = {(row["reason"], row["field"]): row["dead_letters"] for row in rows}
    assert dead_letters == {("malformed_json", ""): 20, ("missing_field", "service"): 9}


def test_producer_loss_is_read_from_the_last_report_of_each(seeded: Client) -> None:
    rows = {row["service"]: row for row in ask(seeded, "Do producers drop events?")}
    assert rows["rag-worker"]["dropped_in_all"] == 3 * 48
    assert rows["chat-api"]["dropped_in_all"] == 0
    assert rows["rag-worker"]["dropped_percent"] == 3.0


def test_windows_agree_with_raw_rows_on_every_day(seeded: Client) -> None:
    rows = ask(seeded, "Do windows and raw rows agree, to the last pico-dollar?")
    assert len(rows) == 8 and all(row["agree"] for row in rows)


def test_the_ledger_tells_positions_and_delays(seeded: Client) -> None:
    health = ask(seeded, "Is every partition being ingested, without holes?")
    assert [row["partition"] for row in health] == [0, 1, 2, 3]
    assert {(r["position"], r["open_batches"], r["missing_offsets"]) for r in health} == {
        (14400, 0, 0)
    }
    delays = ask(seeded, "How long until an event can be queried?")
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
    rows = ask(seeded, question)
    week = [c for c in calls() if c.at >= moment(11, 11, 12)]
    if of is not None:
        assert sum(row[key] for row in rows) == usd(week)
    else:
        truncated = sum(row["calls"] * row[key] / 100 for row in rows)
        assert truncated == pytest.approx(sum(c.n % 20 == 4 for c in week), abs=1)
