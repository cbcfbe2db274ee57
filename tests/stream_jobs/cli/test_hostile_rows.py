"""Rows with hostile texts: commands show them, and no terminal obeys them."""

from __future__ import annotations

import io
import json
import re
import sys
import time
import unicodedata
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.databases import migrated
from tests.each import each
from tests.stream_jobs.core.alert.histories import finding
from tokentide_jobs.cli.main import main
from tokentide_jobs.core.alert.alert_rules import AlertRules
from tokentide_jobs.core.alert.book import AlertBook
from tokentide_jobs.core.change.cause import Change, likely_causes
from tokentide_jobs.io.clickhouse.alert_store import AlertStore
from tokentide_jobs.io.clickhouse.client import ClickHouse

pytestmark = pytest.mark.integration

HOSTILE = "a\x1b]0;owned\x07b\x9b31mc\rd\x08e\u202ef\u2066g\x00h[bold]\u200b"
CESU = b"\xed\xa0\x80\xff"
"""Half of a character beyond 16 bits, as Java writes it, and a byte of no text at all."""
HUGE = b"\x1b[2J"
"""Stored 200,000 times on end."""
VALUES = (
    HOSTILE.encode(), CESU, HUGE, b"[" * 50_000, b"9" * 5_000, b"",
    json.dumps({"tags": {HOSTILE: "\ud800"}, "n": [float("nan")]}).encode(),
)  # fmt: skip
EVENT_ID = str(uuid.UUID(int=7, version=4))
STYLES = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture(scope="module")
def store(sql_server: str) -> Iterator[ClickHouse]:
    """Make a database with hostile requests, dead letters and alerts."""
    text, now_us = HOSTILE.encode() + CESU, time.time_ns() // 1000
    dimensions = (("tenant", HOSTILE), ("model", HOSTILE))
    deploy = Change(kind=HOSTILE, subject=HOSTILE, at_us=now_us, dimensions={"tenant": HOSTILE})
    found = finding(
        at_us=now_us, dimensions=dimensions, sentence=HOSTILE,
        causes=likely_causes([deploy], (("tenant", HOSTILE),), now_us),
    )  # fmt: skip
    with migrated(sql_server) as made:
        labels = "tenant, service, environment, provider, request_model, response_model"
        made.command(
            f"INSERT INTO {made.database}.raw_requests (event_id, started_at, {labels}, log_id, "
            f"_topic) SELECT '{EVENT_ID}', now64(6) - 60, "
            + ", ".join([f"unhex('{text.hex()}')"] * 8)
        )
        columns = "_topic, reason, field, detail, type, event_id, tenant, service, sdk_name"
        for number, value in enumerate(VALUES):
            times = 200_000 if value is HUGE else 1
            texts = ", ".join([f"unhex('{(value[:1_000] + text).hex()}')"] * 9)
            made.command(
                f"INSERT INTO {made.database}.dead_letters (log_id, _offset, value, record_at, "
                f"ingested_at, {columns}) SELECT 'log', {number}, "
                f"repeat(unhex('{value.hex()}'), {times}), now64(3), now64(6), {texts}"
            )
        book = AlertBook(AlertRules())
        AlertStore(made).append(book.observe([found], now_us, now_us))
        yield made


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@each(
    "arguments",
    [
        ["void", EVENT_ID, "--reason", "test", "--dry-run"],
        ["void", EVENT_ID, "--reason", "test", "--dry-run", "--json"],
        ["dlq", "list"],
        ["dlq", "list", "--json"],
        ["dlq", "replay", "--all", "--dry-run"],
        *(["dlq", "show", f"0:{number}:0"] for number in range(len(VALUES))),
        *(["dlq", "show", f"0:{number}:0", "--raw"] for number in range(len(VALUES))),
        ["alerts", "list"],
        ["alerts", "list", "--json"],
        ["runs"],
        ["explain", EVENT_ID],
        ["sql", "SELECT * FROM raw_requests"],
        ["sql", "SELECT * EXCEPT value FROM dead_letters"],
    ],
    ids=" ".join,
)
def test_no_terminal_obeys_what_is_stored(
    arguments: list[str], store: ClickHouse, sql_server: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("TOKENTIDE_CLICKHOUSE_URL", sql_server)
    monkeypatch.setenv("TOKENTIDE_KAFKA_BOOTSTRAP", "127.0.0.1:9")
    monkeypatch.setenv("TOKENTIDE_DATABASE", store.database)
    monkeypatch.setenv("TOKENTIDE_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "160")
    printed, errors = Terminal(), Terminal()
    monkeypatch.setattr(sys, "stdout", printed)
    monkeypatch.setattr(sys, "stderr", errors)
    code = main(arguments)
    assert code in (0, 1), errors.getvalue()[:2_000]
    for stream in (printed, errors):
        text = STYLES.sub("", stream.getvalue())
        kinds = ("Cc", "Cf", "Zl", "Zp", "Cs")
        assert [c for c in text if c not in "\n\t" and unicodedata.category(c) in kinds] == []
        assert "Traceback" not in text
