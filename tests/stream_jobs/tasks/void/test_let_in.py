"""Letting an event in while another process takes it out again: no row comes back unnoticed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.databases import migrated
from tests.stream_jobs.tasks.damaged import (
    CARDS,
    OLD_US,
    TODAY_US,
    TOKEN_WINDOW_US,
    Ingest,
    everything,
)
from tests.stream_jobs.tasks.void.voiding import void_of
from tokentide_jobs.core.batch.ledger import Intent
from tokentide_jobs.errors import RetriableSinkError
from tokentide_jobs.io.clickhouse.card_store import write_cards
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.tasks.repair.lost_rows import LostRowsOfLog, RecordSource
from tokentide_jobs.tasks.repair.repair import Repair

pytestmark = pytest.mark.integration


@pytest.fixture
def store(sql_server: str) -> Iterator[ClickHouse]:
    with migrated(sql_server) as made:
        yield made


def test_rows_do_not_come_back_unnoticed_over_a_decision_that_is_made_meanwhile(
    store: ClickHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_cards(store, CARDS, "test:1")
    batches = {}
    for name, day_us in (("a", OLD_US), ("b", TODAY_US)):
        ingest = Ingest(store, log=name)
        batches[name] = ingest.begin(20, day_us)
        ingest.end(batches[name])

    async def kept(_self: LostRowsOfLog, intent: Intent) -> Any:
        return batches[intent.log.log_id].records

    monkeypatch.setattr(LostRowsOfLog, "_read", kept)
    # Both begin with the same id, at times of their own: `void` at one does not look at the other.
    log, ids = (
        RecordSource("127.0.0.1:9", {}),
        [json.loads(batches["a"].records[0].value)["event_id"]],
    )
    assert len(void_of(store).take_out(ids, "wrong").rows) == 2
    without, insert = everything(store), LostRowsOfLog._insert
    restores: list[str] = []
    inserts: list[str] = []

    def take_out_at_the_second(seen: list[str], what: str) -> None:
        seen.append(what)
        if len(seen) == 2:
            void_of(store).take_out(ids, "wrong all the same")

    def before_a_restore(step: str) -> None:
        if step.startswith("restore"):
            take_out_at_the_second(restores, step)

    def before_an_insert(self: LostRowsOfLog, table: str, *arguments: Any) -> None:
        take_out_at_the_second(inserts, table)
        insert(self, table, *arguments)

    named = r"me@here took it out again at this moment \(wrong all the same\).*`tokentide void` on"
    with pytest.raises(RetriableSinkError, match=named):
        void_of(store, progress=before_a_restore).let_in(ids, "right", log)
    assert everything(store) == without
    assert store.select("void/returned") == []

    monkeypatch.setattr(LostRowsOfLog, "_insert", before_an_insert)
    with pytest.raises(RetriableSinkError, match=named):
        void_of(store).let_in(ids, "right", log)
    assert [row["id"] for row in store.select("void/returned")] == ids
    void_of(store).take_out(ids, "again")
    assert everything(store) == without
    assert list(Repair(store, "test:1", TOKEN_WINDOW_US).run()) == []
