"""The protocol less one protection at a time, to show that the crash schedules need each of them.

Nothing in the shipped code can be switched off: a mutation swaps the ledger or the store it is
given, puts its steps in another order, or calls the log by another name.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.simulation import Protocol, SlimStore
from tokentide_jobs.core.batch.ledger import Claim, Intent
from tokentide_jobs.core.batch.life import Acknowledge, Claimed, Effect, Life
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.io.clickhouse.ledger_store import DoneBatch, LedgerStore


@dataclass(frozen=True)
class Mutation:
    """A protocol, or a store, that lacks one protection."""

    protection: str
    how: str
    """What is done instead."""
    protocol: Protocol = field(default_factory=Protocol)
    store: type[SlimStore] = SlimStore


class IntentLast(LedgerStore):
    """Accepts every proposal, and stores the intent only when the batch is done."""

    def __init__(self, store: ClickHouse) -> None:
        super().__init__(store)
        self._records: dict[Intent, int] = {}

    def claim(self, intent: Intent, records: int) -> Claim:
        self._records[intent] = records
        return Claim(intent, 0)

    def finish(self, intent: Intent, done: DoneBatch, worker: str) -> None:
        super().claim(intent, self._records.get(intent, 0))
        super().finish(intent, done, worker)


class DoneFirst(LedgerStore):
    """Moves the position as soon as a batch is claimed, before its rows are written."""

    def claim(self, intent: Intent, records: int) -> Claim:
        claim = super().claim(intent, records)
        if not claim.is_done:
            values: dict[str, Any] = dict.fromkeys(DoneBatch.__dataclass_fields__, 0)
            super().finish(claim.intent, DoneBatch(**values), claim.intent.worker)
        return claim


class TokenlessStore(SlimStore):
    """A store whose every insert of rows has a token of its own: nothing is ever recognised."""

    def __init__(self, url: str, database: str, columns: dict[str, list[str]]) -> None:
        super().__init__(url, database, columns)
        self._chance = random.Random(0)

    def insert(self, table: str, rows: Any, token: str) -> None:
        if not token.startswith("intent/"):
            token = f"{token}/{self._chance.random()}"
        super().insert(table, rows, token)


def acknowledges_first(shipped: Life) -> Life:
    """Acknowledge a batch when its intent is stored, not when its rows are."""
    answer, early = None, 0
    while True:
        step = shipped.send(answer)
        answer = None
        if isinstance(step, Claimed):
            early = step.intent.end
            yield Acknowledge(early)
        elif not (isinstance(step, Acknowledge) and step.end == early):
            answer = yield step


def confirms_nothing(shipped: Life) -> Life:
    """Take whatever was read for records of the log that the worker began with."""
    answer = None
    while True:
        step = shipped.send(answer)
        answer = None
        if not (isinstance(step, Effect) and step.name == "confirm_log"):
            answer = yield step


MUTATIONS = (
    Mutation(
        "intent first",
        "the intent is stored after the rows",
        Protocol(ledger=IntentLast),
    ),
    Mutation("token", "every insert of rows has a new token", store=TokenlessStore),
    Mutation(
        "done row last",
        "the position moves before the rows are stored",
        Protocol(ledger=DoneFirst),
    ),
    Mutation(
        "ack last",
        "offsets are committed before the rows are stored",
        Protocol(life=acknowledges_first),
    ),
    Mutation(
        "log id",
        "a topic that is made again keeps its name in the ledger",
        Protocol(name_of_log=lambda log_id: f"{log_id.partition('-')[0]}-"),
    ),
    Mutation(
        "confirmed log",
        "a batch is stored without asking whether its topic was made again",
        Protocol(life=confirms_nothing),
    ),
)
