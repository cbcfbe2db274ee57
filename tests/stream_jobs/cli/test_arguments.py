"""Values of options: what is accepted, and what an error says."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.each import each
from tokentide_jobs.cli.arguments import parse_offsets, utc_us
from tokentide_jobs.cli.demo import delay_line
from tokentide_jobs.cli.screen import count, dollars, duration_ms, seconds, share
from tokentide_jobs.cli.target import find_target
from tokentide_jobs.cli.verify import proof_line
from tokentide_jobs.core.verify.facts import Facts
from tokentide_jobs.core.verify.report import Report, compare
from tokentide_jobs.core.verify.windows import Sums, WindowComparison, WindowDifference, WindowRows
from tokentide_jobs.errors import ConfigError, ServiceUnreachable


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-22", datetime(2026, 11, 22, tzinfo=UTC)),
        ("2026-11-22T10:30", datetime(2026, 11, 22, 10, 30, tzinfo=UTC)),
        ("2026-11-22 10:30:00.5Z", datetime(2026, 11, 22, 10, 30, 0, 500_000, tzinfo=UTC)),
        ("2026-11-22T10:30+02:00", datetime(2026, 11, 22, 8, 30, tzinfo=UTC)),
    ],
)
def test_times_are_utc_unless_they_say_otherwise(text: str, moment: datetime) -> None:
    assert utc_us(text, "--from") == int(moment.timestamp() * 1e6)


def test_a_time_may_be_a_duration_ago() -> None:
    for text, ago_s in (("90s", 90), ("15m", 900), ("24h", 86_400), ("7d", 604_800)):
        assert utc_us(text, "--from") == pytest.approx((time.time() - ago_s) * 1e6, abs=5e6)


def test_a_time_that_is_none_names_the_option_and_the_value() -> None:
    with pytest.raises(ConfigError, match=r"--to is 'teatime': expected a UTC time"):
        utc_us("teatime", "--to")


def test_offset_ranges_are_half_open_and_by_partition() -> None:
    assert parse_offsets(["3:10-20", "0-5"]) == {3: (10, 20), None: (0, 5)}


@pytest.mark.parametrize("texts", [["5"], ["9-9"], ["9-3"], ["a:1-2"], ["1:1-2", "1:3-4"]])
def test_impossible_offset_ranges_are_refused(texts: list[str]) -> None:
    with pytest.raises(ConfigError, match="--offsets"):
        parse_offsets(texts)


@each(
    ("pico_usd", "text"),
    [
        (None, "-"),
        (0, "$0"),
        (1_234_567_890_000_000, "$1,234.57"),
        (10_000_000_000, "$0.01"),
        (1_500_000_000, "$0.0015"),
        (1, "<$0.000001"),
        (-2_500_000_000_000, "-$2.50"),
    ],
)
def test_money_is_shown_with_as_many_digits_as_it_needs(pico_usd: int | None, text: str) -> None:
    assert dollars(pico_usd) == text


def test_numbers_are_shown_in_units_people_use() -> None:
    assert (count(1_234_567), share(1, 8), share(1, 0)) == ("1,234,567", "12.5%", "-")
    assert [duration_ms(v) for v in (None, 12.4, 2_400.0, 300_000.0)] == [
        "-", "12 ms", "2.4 s", "5.0 min",
    ]  # fmt: skip
    assert [seconds(v) for v in (1.0, 3_500.0, 36_000.0)] == ["1.0 s", "58 min", "10.0 h"]


def test_services_named_by_the_environment_are_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TOKENTIDE_KAFKA_BOOTSTRAP", "kafka.internal:9092")
    monkeypatch.delenv("TOKENTIDE_CLICKHOUSE_URL", raising=False)
    assert find_target(tmp_path, "kafka").kafka_bootstrap == "kafka.internal:9092"
    with pytest.raises(ServiceUnreachable, match="TOKENTIDE_CLICKHOUSE_URL is not set"):
        find_target(tmp_path, "kafka", "clickhouse")


def test_the_environment_beats_the_stack_and_the_stacks_log_id_is_never_taken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stack = {
        "kafka": "127.0.0.1:1111", "clickhouse_url": "http://127.0.0.1:2222",
        "user": "default", "password": "secret",
        "events_topic": "tokentide.events.v1", "pid": os.getpid(), "broker": "kafka",
        "log_id": "stack-log", "data_dir": str(tmp_path),
    }  # fmt: skip
    (tmp_path / "stack.json").write_text(json.dumps(stack))
    for name in ("TOKENTIDE_KAFKA_BOOTSTRAP", "TOKENTIDE_CLICKHOUSE_URL", "TOKENTIDE_LOG_ID"):
        monkeypatch.delenv(name, raising=False)
    own = find_target(tmp_path, "kafka", "clickhouse")
    assert (own.kafka_bootstrap, own.log_id) == ("127.0.0.1:1111", "")
    monkeypatch.setenv("TOKENTIDE_KAFKA_BOOTSTRAP", "other:9092")
    other = find_target(tmp_path, "kafka", "clickhouse")
    assert (other.kafka_bootstrap, other.log_id) == ("other:9092", "")
    assert other.clickhouse_url == "http://default:secret@127.0.0.1:2222"


def report_of(windows: WindowComparison) -> Report:
    return compare(Facts([], [], {}, {}, {}, {}, windows))


def test_the_verdict_says_ok_or_what_is_wrong() -> None:
    ten = Sums(1, 2, 10)
    equal = proof_line(report_of(WindowComparison(compared=1, rows=ten, windows=ten)))
    assert "verified" in equal
    assert "1 window holds 1 event and $0.000000000010" in equal
    difference = WindowDifference("windows_10s", 0, WindowRows(ten), Sums())
    broken = proof_line(report_of(WindowComparison(1, ten, Sums(), differences=(difference,))))
    assert "NOT OK" in broken
    assert "window events" in broken


@pytest.mark.parametrize(
    ("recounted", "words"),
    [
        (10, "10 events in Kafka = "),
        (4, "10 events (4 counted again in Kafka, the others by the ledger) = "),
        (0, "10 events by the ledger, none counted again in Kafka, = "),
    ],
)
def test_events_that_the_ledger_alone_counted_are_not_said_to_be_in_kafka(
    recounted: int, words: str
) -> None:
    ten = Sums(10, 2, 10)
    report = report_of(WindowComparison(compared=1, rows=ten, windows=ten))
    counted = replace(report, kafka_events=10, raw_events=10, recounted_events=recounted)
    assert words in proof_line(counted)


@pytest.mark.parametrize(
    ("token_spans", "words"),
    [(2, "2 spans carry tokens and were not"), (1, "1 span carries tokens and was not")],
)
def test_spans_with_tokens_that_are_no_calls_are_said(token_spans: int, words: str) -> None:
    ten = Sums(10, 2, 10)
    report = report_of(WindowComparison(compared=1, rows=ten, windows=ten))
    assert words in proof_line(replace(report, token_spans=token_spans))
    for unseen in (0, None):
        assert "tokens and" not in proof_line(replace(report, token_spans=unseen))


def test_records_that_wait_for_an_open_transaction_are_pending_in_every_verdict() -> None:
    ten = Sums(10, 2, 10)
    waiting = "7 records wait for an open transaction"
    for windows in (WindowComparison(compared=1, rows=ten, windows=ten), WindowComparison()):
        report = report_of(windows)
        assert waiting in proof_line(replace(report, behind_transaction=7))
        assert "transaction" not in proof_line(report)


def test_sums_are_called_equal_only_when_they_are() -> None:
    unequal = report_of(WindowComparison(compared=1, rows=Sums(1, 2, 10), windows=Sums(1, 2, 11)))
    assert not unequal.ok
    assert "verified" not in proof_line(unequal)


def test_what_is_left_out_is_said_with_its_cause() -> None:
    ten = Sums(1, 2, 10)
    comparison = WindowComparison(
        compared=1, rows=ten, windows=ten, left_out=3, left_out_rows=Sums(70, 0, 0),
        in_flight=Sums(50, 0, 0), repricing=("run-7",),
    )  # fmt: skip
    words = proof_line(report_of(comparison))
    assert "left out 3 windows with 70 events" in words
    assert "50 events are in flight" in words
    assert "run-7" in words


def test_a_check_of_nothing_proves_nothing() -> None:
    report = report_of(WindowComparison(left_out=2, left_out_rows=Sums(9, 0, 0)))
    assert (report.ok, report.verdict) == (False, "nothing")
    words = proof_line(report)
    assert "nothing proven" in words
    assert "2 windows are in flight" in words


@each(
    "text",
    [
        "1969-12-31",
        "0001-01-01",
        "2106-01-01",
        "9999-12-31T23:59:59",
        "99999d",
        "-1h",
        "2026-02-30",
    ],
)
def test_a_time_that_no_event_can_have_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--from is "):
        utc_us(text, "--from")


def test_a_busy_machine_is_called_that_instead_of_a_success() -> None:
    quick = delay_line([0.4] * 250, 250, load=0.5, cores=2)
    assert "✓" in quick and "busy" not in quick
    slow = delay_line([18.0] * 250, 250, load=15.2, cores=2)
    assert "✓" not in slow
    assert "p50 18.00 s" in slow
    assert "this machine is busy (load 15.2 on 2 cores)" in slow
    strange = delay_line([18.0] * 250, 250, load=0.5, cores=2)
    assert "✓" not in strange and "busy" not in strange and "slower than it should be" in strange
    missing = delay_line([0.4] * 100, 250, load=0.5, cores=2)
    assert "✓" not in missing and "100 seen in time of 250" in missing
    assert "no event could be queried in time" in delay_line([], 250, load=0.5, cores=2)
