"""Repriced history equals history ingested under the new prices, wherever repricing was killed."""

from __future__ import annotations

import itertools
import json
import random
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.databases import migrated
from tests.sampling import share
from tokentide_jobs.cli.main import main
from tokentide_jobs.core.batch.ledger import Intent, LogPartition
from tokentide_jobs.core.outcome.arrow import to_arrow
from tokentide_jobs.core.outcome.outcome import process
from tokentide_jobs.core.price.cards import CardTable
from tokentide_jobs.core.price.pricing import PRICE_COLUMNS
from tokentide_jobs.core.record.record import Record
from tokentide_jobs.core.tables import PLACE_COLUMNS
from tokentide_jobs.core.window.fold import DELTA_SCHEMA, DIMENSIONS, HISTOGRAMS
from tokentide_jobs.io.clickhouse.card_store import load_cards, stored_versions, write_cards
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.io.clickhouse.stored_requests import find_requests
from tokentide_jobs.io.files.price_overrides import parse_price_file
from tokentide_jobs.io.files.price_source import compile_cards
from tokentide_jobs.tasks.reprice.reprice import Reprice

pytestmark = pytest.mark.integration

DAY_US = 86_400_000_000
NOON_US = 1_795_046_400_000_000 + DAY_US // 2
WINDOW_TABLES = ("windows_10s", "windows_1m", "windows_1h", "windows_1d")

OVERRIDES = b"""
- {provider: vllm, model: "*", rates: {input: 0.2, output: 0.6, audio_hours: 1}, reason: own}
- {provider: openai, model: "gpt-4o*", multiplier: 0.5, tenant: acme, reason: contract}
- {provider: anthropic, model: "*", rates: {output: 14}, valid_from: 2026-11-20, reason: news}
"""
LIST = compile_cards()
NEGOTIATED = CardTable(
    "negotiated", LIST.providers, parse_price_file(OVERRIDES, "prices.yaml").overrides
)
MODELS = [
    ("openai", "gpt-4o"),
    ("openai", "gpt-99"),
    ("anthropic", "claude-sonnet-4-5"),
    ("vllm", "llama-3.3-70b"),
]


def event(rng: random.Random) -> dict[str, Any]:
    provider, model = rng.choice(MODELS)
    written: dict[str, Any] = {
        "type": "request",
        "event_id": str(uuid.UUID(int=rng.getrandbits(128), version=4)),
        "started_at_us": NOON_US + rng.randrange(DAY_US),
        "service": rng.choice(["chat", "search"]),
        "tenant": rng.choice(["acme", "beta"]),
        "provider": provider,
        "operation": "chat",
        "request_model": model,
        "duration_ms": rng.randrange(1, 5_000) / 10,
        "status": rng.choice(["ok", "ok", "ok", "error", "abandoned"]),
        "usage_source": rng.choice(["provider", "provider", "missing"]),
        "service_tier": rng.choice(["", "priority", "batch"]),
    }
    if written["status"] == "ok" or rng.random() < 0.5:
        total = rng.randrange(300_000)
        written |= {"input_tokens": total, "output_tokens": rng.randrange(3_000)}
        written |= {"cache_read_tokens": total // 2, "web_searches": rng.choice([None, 2])}
    if provider == "vllm" and rng.random() < 0.3:
        written["other_units"] = {"seconds": 12.5}
    started_us = written["started_at_us"]
    written |= {"user_hash": f"u{started_us % 5}", "run_id": f"r{started_us % 7}"}
    return {name: value for name, value in written.items() if value not in (None, "")}


def batches() -> list[list[Record]]:
    rng = random.Random(7)
    stamps = itertools.count()
    return [
        [
            Record(0, next(stamps), NOON_US // 1000, json.dumps(event(rng)).encode())
            for _ in range(150)
        ]
        for _ in range(2)
    ]


def ingest(store: ClickHouse, cards: CardTable) -> None:
    for records in batches():
        start = records[0].offset
        intent = Intent(
            LogPartition("log", "events", 0), start, start + len(records), cards.price_version,
            NOON_US, NOON_US + 2 * DAY_US, NOON_US + 2 * DAY_US, "test", ("user", "run"), 99,
        )  # fmt: skip
        outcome = process(records, intent, cards)
        assert outcome.dead_letter_count == 0, outcome.dead_letters["detail"].to_list()
        for table, rows in outcome.raw.items():
            store.insert(table, to_arrow(table, rows), intent.write_token(table))
        for table, deltas in (
            ("windows_10s", outcome.fold()),
            ("subjects_1h", outcome.fold_subjects()),
        ):
            store.insert(table, to_arrow(table, deltas), intent.write_token(table))


@pytest.fixture(scope="module")
def stores(sql_server: str) -> Iterator[dict[str, ClickHouse]]:
    """One store whose history is repriced, and one per card table, ingested under it."""
    found: dict[str, ClickHouse] = {}
    with ExitStack() as databases:
        for name, cards in (("work", LIST), ("list", LIST), ("negotiated", NEGOTIATED)):
            found[name] = databases.enter_context(migrated(sql_server))
            ingest(found[name], cards)
        yield found


def window_rows(store: ClickHouse, table: str) -> list[Any]:
    sums = [n for n in DELTA_SCHEMA if n not in ("window_start", *DIMENSIONS, *HISTOGRAMS)]
    measures = [f"toString(sum({name}))" for name in sums]
    measures += [f"mapSort(mapFilter((k, v) -> v != 0, sumMap({name})))" for name in HISTOGRAMS]
    series = ", ".join(("window_start", *DIMENSIONS))
    return list(
        store.rows(
            f"SELECT {series}, {', '.join(measures)} FROM {store.database}.{table} "
            f"GROUP BY {series} ORDER BY {series}"
        )
    )


def subject_rows(store: ClickHouse) -> list[Any]:
    return list(
        store.rows(
            "SELECT hour, kind, subject, tenant, service, sum(requests), sum(errors), "
            "sum(unpriced), sum(input_tokens), toString(sum(cost_pico_usd)), "
            "min(first_started_at), max(last_ended_at) "
            f"FROM {store.database}.subjects_1h GROUP BY ALL ORDER BY ALL"
        )
    )


def raw_rows(store: ClickHouse, *, version: bool = True) -> list[Any]:
    columns = [c for c in PRICE_COLUMNS if version or c != "price_version"]
    return list(
        store.rows(
            f"SELECT event_id, {', '.join(columns)} FROM {store.database}.raw_requests "
            f"ORDER BY {', '.join(PLACE_COLUMNS)}"
        )
    )


def assert_equal_history(store: ClickHouse, expected: ClickHouse) -> None:
    assert raw_rows(store) == raw_rows(expected)
    for table in WINDOW_TABLES:
        assert window_rows(store, table) == window_rows(expected, table), table
    assert subject_rows(store) == subject_rows(expected)


class _Killed(Exception):
    pass


def reprice(store: ClickHouse, cards: CardTable, die_at: int | None = None) -> list[str]:
    """Reprice all of history; return the steps taken, the one it died at included."""
    steps: list[str] = []

    def progress(step: str, _chunk: int, _chunks: int) -> None:
        steps.append(step)
        if die_at is not None and len(steps) > die_at:
            raise _Killed

    work = Reprice(store, cards, "test:1", chunk_rows=1_000, progress=progress)
    if die_at is None:
        work.run(NOON_US, NOON_US + 2 * DAY_US)
    else:
        with pytest.raises(_Killed):
            work.run(NOON_US, NOON_US + 2 * DAY_US)
    return steps


def test_a_preview_writes_nothing_and_says_what_would_change(
    stores: dict[str, ClickHouse],
) -> None:
    before = raw_rows(stores["work"])
    table = Reprice(stores["work"], NEGOTIATED, "t").preview(NOON_US, NOON_US + 2 * DAY_US)
    assert raw_rows(stores["work"]) == before
    by_model = {row["model"]: row for row in table.iter_rows(named=True)}
    assert by_model["llama-3.3-70b"]["old_pico_usd"] == 0
    assert by_model["llama-3.3-70b"]["new_pico_usd"] > 0
    assert by_model["llama-3.3-70b"]["new_unknown"] < by_model["llama-3.3-70b"]["old_unknown"]
    assert by_model["gpt-4o"]["new_pico_usd"] < by_model["gpt-4o"]["old_pico_usd"]
    assert by_model["gpt-99"]["changed"] == 0
    totals = [sum(row[1] or 0 for row in raw_rows(stores[name])) for name in ("list", "negotiated")]
    assert [int(table[f"{side}_pico_usd"].sum()) for side in ("old", "new")] == totals


def test_repriced_history_equals_history_ingested_under_the_new_prices(
    stores: dict[str, ClickHouse],
) -> None:
    reprice(stores["work"], NEGOTIATED)
    assert_equal_history(stores["work"], stores["negotiated"])
    again = reprice(stores["work"], NEGOTIATED)
    assert again == []
    reprice(stores["work"], LIST)
    assert_equal_history(stores["work"], stores["list"])


def test_repricing_killed_at_any_step_is_finished_by_running_it_again(
    stores: dict[str, ClickHouse],
) -> None:
    work = stores["work"]
    cards, other = NEGOTIATED, LIST
    names = {LIST.price_version: "list", "negotiated": "negotiated"}
    reprice(work, other)
    chunk = ["price", "correct", "mark 1", "apply", "mark 2", "windows", "subjects", "mark 3"]
    deaths = {0: "plan", **dict(enumerate(chunk, start=1)), 17: "finish"}
    for die_at in share(list(deaths), 3):
        assert reprice(work, cards, die_at)[-1] == deaths[die_at]
        if die_at == 3:
            reprice(work, cards, 1)
        reprice(work, cards)
        assert_equal_history(work, stores[names[cards.price_version]])
        cards, other = other, cards
    left = work.rows(
        "SELECT count() FROM system.tables WHERE database = {database:String} AND engine = 'Join'",
        {"database": work.database},
    )
    assert left[0][0] == 0


def test_windows_corrected_before_the_crash_are_not_corrected_again(
    stores: dict[str, ClickHouse],
) -> None:
    """Even when the windows have long forgotten the token of the insert."""
    work = stores["work"]
    reprice(work, LIST)
    steps = reprice(work, NEGOTIATED, die_at=8)
    assert steps[-1] == "mark 3"
    resumed = reprice(work, NEGOTIATED)
    assert resumed[0] == "mark 3"
    assert_equal_history(work, stores["negotiated"])


def test_a_range_is_half_open_and_leaves_the_rest_alone(stores: dict[str, ClickHouse]) -> None:
    work = stores["work"]
    reprice(work, LIST)
    inside = batches()[0][0]
    moment = json.loads(inside.value)["started_at_us"]
    Reprice(work, replace(NEGOTIATED, price_version="narrow"), "t").run(moment, moment + 1)
    versions = work.rows(
        "SELECT price_version, count(), min(toUnixTimestamp64Micro(started_at)) "
        f"FROM {work.database}.raw_requests GROUP BY price_version ORDER BY count()"
    )
    assert tuple(versions[0]) == ("narrow", 1, moment)
    assert versions[1][0] == LIST.price_version
    gap = work.rows(
        f"SELECT (SELECT sum(cost_pico_usd) FROM {work.database}.raw_requests) = "
        f"(SELECT sum(cost_pico_usd) FROM {work.database}.windows_10s)"
    )
    assert gap[0][0] == 1


def test_cards_are_stored_once_and_read_back_unchanged(stores: dict[str, ClickHouse]) -> None:
    store = stores["list"]
    assert write_cards(store, NEGOTIATED, "test:1")
    assert not write_cards(store, NEGOTIATED, "test:2")
    assert stored_versions(store) == ["negotiated"]
    assert load_cards(store, "negotiated") == NEGOTIATED


def test_a_stored_request_is_found_by_its_event_id(stores: dict[str, ClickHouse]) -> None:
    wanted = json.loads(batches()[0][0].value)
    (found,) = find_requests(stores["list"], wanted["event_id"])
    assert found["started_at_us"] == wanted["started_at_us"]
    assert found["request_model"] == wanted["request_model"]


@pytest.fixture
def run(
    stores: dict[str, ClickHouse],
    sql_server: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Callable[..., tuple[int, str]]:
    """Run a command against the history that is repriced; the overrides are those above."""
    (tmp_path / "prices.yaml").write_bytes(OVERRIDES)
    monkeypatch.setenv("TOKENTIDE_CLICKHOUSE_URL", sql_server)
    monkeypatch.setenv("TOKENTIDE_DATABASE", stores["work"].database)
    monkeypatch.setenv("TOKENTIDE_DATA_DIR", str(tmp_path / "data"))

    def invoke(*arguments: str, overrides: bool = False) -> tuple[int, str]:
        path = str(tmp_path / "prices.yaml") if overrides else ""
        monkeypatch.setenv("TOKENTIDE_PRICES_FILE", path)
        code = main(arguments)
        captured = capsys.readouterr()
        return code, captured.out + captured.err

    return invoke


def test_the_commands_reprice_and_explain_what_is_stored(
    stores: dict[str, ClickHouse], run: Callable[..., tuple[int, str]]
) -> None:
    work = stores["work"]
    reprice(work, LIST)
    anthropic = next(
        wanted
        for record in itertools.chain.from_iterable(batches())
        if (wanted := json.loads(record.value))["provider"] == "anthropic"
        and wanted.get("output_tokens")
        and wanted["started_at_us"] >= NOON_US + DAY_US // 2
    )
    code, out = run("explain", anthropic["event_id"])
    assert (code, "the stored cost is the same" in out) == (0, True), out
    code, out = run("explain", anthropic["event_id"], "--current", overrides=True)
    assert (code, "stored cost_pico_usd" in out) == (0, True), out

    span = ("--from", "2026-11-19", "--to", "2026-11-23")
    code, out = run("reprice", *span, "--dry-run", overrides=True)
    assert code == 0
    assert "300 requests" in out
    assert "nothing was written" in out
    assert raw_rows(work) == raw_rows(stores["list"])
    code, out = run("reprice", *span, overrides=True)
    assert (code, "300 requests" in out) == (0, True), out
    assert raw_rows(work, version=False) == raw_rows(stores["negotiated"], version=False)
    code, out = run("reprice", *span, overrides=True)
    assert (code, "nothing to do" in out) == (0, True), out
    code, out = run("explain", anthropic["event_id"])
    assert (code, "the stored cost is the same" in out) == (0, True), out
    assert "override:4 (news)" in out

    stored = stored_versions(work)
    code, out = run("prices", "diff", stored[0], "--at", "2026-11-21")
    assert (code, "rates of" in out) == (0, True), out
    code, out = run("prices", "diff", "no-such-version")
    assert (code, "no-such-version" in out) == (2, True), out


def test_explain_notices_a_cost_that_its_cards_do_not_give(
    stores: dict[str, ClickHouse], run: Callable[..., tuple[int, str]]
) -> None:
    work = stores["work"]
    reprice(work, LIST)
    wanted = json.loads(batches()[0][0].value)["event_id"]
    work.command(
        f"ALTER TABLE {work.database}.raw_requests UPDATE cost_pico_usd = 42, price_rule = 'x' "
        f"WHERE event_id = '{wanted}' SETTINGS mutations_sync = 1"
    )
    code, out = run("explain", wanted)
    assert code == 1
    assert "stored cost_pico_usd: 42" in out
    assert "NOT what its cards give" in out
    code, out = run("explain", str(uuid.UUID(int=1)))
    assert (code, "no request 00000000-" in out) == (2, True)
