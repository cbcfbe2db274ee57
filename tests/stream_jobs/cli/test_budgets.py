"""`tokentide budgets`: exact beside the raw rows, in every zone, and with what to do."""

from __future__ import annotations

import json
import random
import re
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final
from zoneinfo import ZoneInfo

import pytest

from tests.databases import migrated
from tests.places import ROOT
from tokentide_jobs.cli.main import main
from tokentide_jobs.core.batch.ledger import Intent, LogPartition
from tokentide_jobs.core.budget.budget import Budget, Scope
from tokentide_jobs.core.budget.period import KINDS, PeriodKind
from tokentide_jobs.core.outcome.arrow import to_arrow
from tokentide_jobs.core.outcome.outcome import process
from tokentide_jobs.core.record.record import Record
from tokentide_jobs.core.tables import ROLLUPS, WINDOWS
from tokentide_jobs.io.clickhouse.budget_spend import read_budgets
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.io.files.price_source import compile_cards

pytestmark = pytest.mark.integration

DAY_US: Final = 86_400_000_000
NOW_US: Final = int(datetime(2026, 11, 2, 10, 17, 23, tzinfo=UTC).timestamp()) * 1_000_000
"""A Monday; New York's clocks were set back on the day before."""
ODD: Final = "o'b\\r\tä, ]"
PAGE: Final = ROOT / "docs" / "budgets.md"


def events() -> list[dict[str, Any]]:
    rng = random.Random(5)
    quarters = [(NOW_US // DAY_US - 34) * DAY_US + at * DAY_US // 96 for at in range(3_312)]
    # At the edges that periods may have, a microsecond before them, and anywhere.
    starts = [*quarters, *(at - 1 for at in quarters)]
    starts += [NOW_US - rng.randrange(34 * DAY_US) for _ in range(500)]
    starts += [NOW_US - rng.randrange(DAY_US // 8) for _ in range(300)]
    return [
        {
            "type": "request",
            "event_id": str(uuid.UUID(int=rng.getrandbits(128), version=4)),
            "started_at_us": start,
            "service": "chat",
            "tenant": rng.choice(["acme", ODD]),
            "team": rng.choice(["search", ""]),
            "key_id": rng.choice(["key-7", ODD]),
            "user_hash": rng.choice(["u1", "u2"]),
            "agent_name": rng.choice(["planner", ""]),
            "agent_id": "agent-9",
            "run_id": rng.choice(["run-1", ""]),
            "conversation_id": "talk-3",
            "provider": "openai",
            "operation": "chat",
            "request_model": rng.choice(["gpt-4o", "gpt-4o", "gpt-4o-mini", "no-such-model"]),
            "duration_ms": 5.0,
            "status": "ok",
            "usage_source": "provider",
            "input_tokens": rng.randrange(300_000),
            "output_tokens": rng.randrange(3_000),
        }
        for start in starts
    ]


@pytest.fixture(scope="module")
def store(sql_server: str) -> Iterator[ClickHouse]:
    """Yield a database with five weeks of requests, ingested as a worker does."""
    cards = compile_cards()
    written = [json.dumps(event).encode() for event in events()]
    records = [Record(0, at, NOW_US // 1_000, line) for at, line in enumerate(written)]
    intent = Intent(
        LogPartition("log", "events", 0), 0, len(records), cards.price_version,
        NOW_US - 40 * DAY_US, NOW_US + DAY_US, NOW_US, "test",
    )  # fmt: skip
    outcome = process(records, intent, cards)
    assert outcome.dead_letter_count == 0, outcome.dead_letters["detail"].to_list()[:3]
    with migrated(sql_server) as found:
        for table in ("raw_requests", WINDOWS, *ROLLUPS):
            found.command(f"ALTER TABLE {found.database}.{table} REMOVE TTL")
        for table, rows in outcome.raw.items():
            found.insert(table, to_arrow(table, rows), intent.write_token(table))
        found.insert(WINDOWS, to_arrow(WINDOWS, outcome.fold()), intent.write_token(WINDOWS))
        yield found


SCOPES: Final = {
    "everything": (Scope(), "1"),
    "dimensions": (Scope((("tenant", ODD), ("team", ""))), "tenant = {v:String} AND team = ''"),
    "model": (Scope((("model", "gpt-4o"),)), "request_model = 'gpt-4o'"),
    "user": (Scope(subject=("user", "u1")), "user_hash = 'u1'"),
    "key": (Scope(subject=("key", ODD)), "key_id = {v:String}"),
    "agent": (Scope(subject=("agent", "agent-9")), "agent_name = ''"),
    "run": (Scope(subject=("run", "talk-3")), "run_id = ''"),
}


@pytest.mark.parametrize(
    ("of", "zone"),
    [
        ("everything", "UTC"), ("everything", "America/New_York"), ("everything", "Asia/Kathmandu"),
        ("dimensions", "America/New_York"), ("model", "UTC"), ("user", "UTC"),
        ("key", "Asia/Kathmandu"), ("agent", "America/New_York"), ("run", "UTC"),
    ],
)  # fmt: skip
def test_spend_equals_the_raw_rows_to_the_pico_dollar(
    store: ClickHouse, of: str, zone: str
) -> None:
    scope, condition = SCOPES[of]

    def budget(kind: PeriodKind) -> Budget:
        return Budget(
            name=of, scope=scope, period=kind, zone=ZoneInfo(zone), zone_name=zone,
            amount_pico_usd=10**15,
        )  # fmt: skip

    for status in read_budgets(store, [budget(kind) for kind in KINDS], NOW_US):
        for spend in (status.current, status.before):
            ((pico, requests, unpriced),) = store.rows(
                "SELECT sum(toInt128(ifNull(cost_pico_usd, 0))), count(),"
                f" countIf(cost_pico_usd IS NULL) FROM {store.database}.raw_requests"
                " WHERE toUnixTimestamp64Micro(started_at) >= {low:Int64}"
                f" AND toUnixTimestamp64Micro(started_at) < {{high:Int64}} AND {condition}",
                {"low": spend.period.start_us, "high": spend.period.end_us}
                | ({"v": ODD} if "{v:" in condition else {}),
            )
            found = (spend.pico_usd, spend.requests, spend.unpriced)
            assert found == (pico, requests, unpriced), (status.budget.period, spend.period)
        assert status.current.requests or status.budget.period == "hour"


Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(
    store: ClickHouse,
    sql_server: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """Run `tokentide budgets …` on a file with the given text, at NOW_US."""
    monkeypatch.setenv("TOKENTIDE_CLICKHOUSE_URL", sql_server)
    monkeypatch.setenv("TOKENTIDE_DATABASE", store.database)
    monkeypatch.setenv("TOKENTIDE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("TOKENTIDE_BUDGETS_FILE", str(tmp_path / "budgets.yaml"))
    clock = SimpleNamespace(time_ns=lambda: NOW_US * 1_000)
    monkeypatch.setattr("tokentide_jobs.cli.budgets.time", clock)

    def invoke(text: str, *arguments: str) -> tuple[int, str]:
        (tmp_path / "budgets.yaml").write_text(text, "utf-8")
        code = main(["budgets", *arguments])
        captured = capsys.readouterr()
        return code, captured.out + captured.err

    return invoke


def entry(name: str, amount: str, kind: str = "soft", period: str = "month") -> str:
    return (
        f"- {{name: {name}, scope: {{team: search}}, period: {period}, amount_usd: {amount},"
        f" kind: {kind}}}\n"
    )


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (entry("a", "100000") + entry("b", "100000", "hard"), 0),
        (entry("a", "0.01") + entry("b", "100000", "hard"), 6),
        (entry("a", "0.01") + entry("b", "0.01", "hard"), 1),
        ("budgets: []", 5),
        (entry("a", "much"), 2),
    ],
)
def test_check_exits_with_what_is_over(run: Run, text: str, code: int) -> None:
    assert run(text, "check")[0] == code
    assert run(text, "check", "--json")[0] == code


def test_list_shows_what_is_spent_and_what_is_wrong(run: Run) -> None:
    text = entry("'quiet [red]'", "100000") + entry("loud", "0.5", "hard", "week")
    code, out = run(text)
    assert code == 0
    assert "quiet [red]" in out
    assert "of $100,000.00" in out
    assert "team search; week of 2026-11-02; hard" in out
    assert "over its hard limit by $" in out
    assert ": more was spent than is shown" in out
    assert run(text, "list")[1] == out
    typo = "- {name: t, scope: {team: serach}, period: day, amount_usd: 1}"
    assert "no request of this scope" in run(typo)[1]
    assert "no request of this scope" in run(typo, "check")[1]


def test_show_names_sums_thresholds_burn_and_what_the_forecast_rests_on(run: Run) -> None:
    code, out = run(entry("search team", "20"), "show", "search team")
    assert code == 0, out
    printed = {" ".join(line.split()) for line in out.splitlines()}
    assert "scope team search" in printed
    assert any(line.startswith("50% reached in the window from") for line in printed)
    assert any("x even spending over 3 d" in line for line in printed)
    assert "back-tests in 3" in out
    form = json.loads(run(entry("search team", "20"), "show", "search team", "--json")[1])
    assert f"spent ${form['spent_usd'].rstrip('0')}," in " ".join(out.split())
    assert Decimal(form["forecast"]["low_usd"]) < Decimal(form["forecast"]["high_usd"])
    code, out = run(entry("search team", "20"), "show", "serach team")
    assert (code, "there is no budget 'serach team'" in out) == (2, True)


def test_a_subject_whose_rows_may_have_expired_is_a_lower_bound(
    run: Run, store: ClickHouse
) -> None:
    text = "".join(
        f"- {{name: {name}, scope: {{{name}: x}}, period: month, amount_usd: 1}}\n"
        for name in ("user", "team")
    )
    table = f"{store.database}.tenant_retention"
    store.command(f"INSERT INTO {table} (tenant, days) VALUES ('acme', 2)")
    try:
        found = json.loads(run(text, "--json")[1])["budgets"]
        assert [one["has_expired_rows"] for one in found] == [True, False]
        assert "rows of the period may have expired" in run(text)[1]
    finally:
        store.command(f"TRUNCATE TABLE {table}")
    found = json.loads(run(text, "--json")[1])["budgets"]
    assert [one["has_expired_rows"] for one in found] == [False, False]


def test_the_example_of_the_documentation_is_valid(run: Run) -> None:
    (example,) = re.findall(r"^```yaml\n(.*?)^```$", PAGE.read_text("utf-8"), re.M | re.S)
    code, out = run(example, "list", "--json")
    assert code == 0, out
    assert len(json.loads(out)["budgets"]) == example.count("name:")
    assert run(example, "check")[0] == 0
