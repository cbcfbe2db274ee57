"""Crash schedules: workers that die, return, lose replies and linger, over one real ClickHouse.

Time is a random walk of single steps. At each step the scheduler picks one life (a worker's hold on
one partition, perhaps lost long ago) and lets it take one effect of the write protocol, or kills it
before, kills it after, or hides the reply from it. The Kafka log, its committed offsets and the
group are simulated; planner, ledger, rows, tokens and store are the real ones.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace
from typing import Any

import polars as pl
import pyarrow as pa

from tokentide_jobs.core.batch.ledger import Intent, LogPartition, locate
from tokentide_jobs.core.batch.planner import Limits, PartitionPlanner, Verdict
from tokentide_jobs.core.price.cards import CardTable
from tokentide_jobs.core.record.record import Record
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.io.clickhouse.ledger_store import Claim, LedgerStore
from tokentide_jobs.jobs.ingest.flush import Effect, Flush, FlushTimes

TOPIC = "tokentide.events.v1"


@dataclass
class SimulatedLog:
    """One incarnation of a topic: records by partition, and what the group has committed."""

    log_id: str
    records: dict[int, list[Record]]
    committed: dict[int, int] = field(default_factory=dict)
    topic: str = TOPIC

    def end(self, partition: int) -> int:
        records = self.records[partition]
        return records[-1].offset + 1 if records else 0

    def read(self, partition: int, offset: int) -> list[Record]:
        return [record for record in self.records[partition] if record.offset >= offset]


@dataclass(frozen=True)
class Worker:
    """What differs between workers: limits, prices, accepted window, clock."""

    name: str
    limits: Limits
    price_version: str
    accepted_from_us: int
    accepted_until_us: int
    sealed_at_us: int


@dataclass
class Rules:
    """What the protocol relies on, to be switched off one at a time."""

    uses_ledger: bool = True
    uses_tokens: bool = True


class SlimStore(ClickHouse):
    """A store whose tables have fewer columns than the pipeline writes: the others are left out."""

    def __init__(self, url: str, database: str, columns: dict[str, list[str]]) -> None:
        super().__init__(url, database)
        self._columns = columns

    def insert(self, table: str, rows: Any, token: str) -> None:
        known = self._columns[table]
        super().insert(table, rows.select([c for c in rows.column_names if c in known]), token)


class TokenlessStore(SlimStore):
    """A store whose every insert has a token of its own: nothing is ever recognised."""

    chance = random.Random(0)

    def insert(self, table: str, rows: Any, token: str) -> None:
        if not token.startswith("intent/"):
            token = f"{token}/{self.chance.random()}"
        super().insert(table, rows, token)


class SilentPublisher:
    """Stands for Kafka on the way out; remembers what a reader that drops repeats would."""

    def __init__(self) -> None:
        self.deltas: dict[str, int] = {}
        self.letters: set[tuple[str, int, int]] = set()

    def publish_dead_letters(self, letters: pl.DataFrame, intent: Intent) -> None:
        for offset, idx in letters.select("_offset", "_idx").iter_rows():
            self.letters.add((f"{intent.log.log_id}/{intent.log.partition}", offset, idx))

    def publish_deltas(self, deltas: pa.Table, intent: Intent) -> None:
        self.deltas[intent.write_token("windows")] = sum(deltas["events"].to_pylist())


Life = Generator[Effect, Any, None]


class Schedule:
    """One random history over one log; `run` plays it to the end."""

    def __init__(
        self,
        log: SimulatedLog,
        store: ClickHouse,
        publisher: SilentPublisher,
        cards: dict[str, CardTable],
        new_worker: Callable[[random.Random], Worker],
        chance: random.Random,
        rules: Rules,
    ) -> None:
        self.log = log
        self.faults = 0
        self._store = store
        self._ledger = LedgerStore(store)
        self._publisher = publisher
        self._cards = cards
        self._new_worker = new_worker
        self._chance = chance
        self._rules = rules
        self._progress: dict[int, int] = {}
        self._pending: dict[Life, Effect] = {}

    def run(self, fault_rate: float) -> None:
        """Play until every record is stored, every fault has healed and every zombie has ended."""
        owners: dict[int, Life] = {}
        zombies: list[Life] = []
        for steps in range(5_000):
            if steps > 400:
                fault_rate = 0.0  # let it come to an end
            unfinished = [
                partition for partition in self.log.records if not self._is_stored(partition)
            ]
            if not unfinished and not zombies:
                return
            if zombies and (not unfinished or self._chance.random() < 0.35):
                life = self._chance.choice(zombies)
                if not self._step(life, fault_rate):
                    zombies.remove(life)
                continue
            partition = self._chance.choice(unfinished)
            if partition not in owners:
                owners[partition] = self._life(partition, self._new_worker(self._chance))
            elif self._chance.random() < fault_rate / 2:
                # The group takes the partition away; its worker has not noticed and goes on.
                self.faults += 1
                zombies.append(owners.pop(partition))
                continue
            if not self._step(owners[partition], fault_rate):
                del owners[partition]
        raise AssertionError("the schedule never ends")

    def _is_stored(self, partition: int) -> bool:
        return self._progress.get(partition, 0) >= self.log.end(partition)

    def _step(self, life: Life, fault_rate: float) -> bool:
        """Let one effect happen, or not, or seem not to; return whether the life goes on."""
        try:
            effect = self._pending.pop(life, None) or next(life)
            fate = self._chance.random()
            if fate < fault_rate / 3:
                self.faults += 1
                life.close()  # killed before the effect
                return False
            result = effect.run()
            if fate < fault_rate * 2 / 3:
                self.faults += 1
                life.close()  # killed after the effect: nobody heard the reply
                return False
            if fate < fault_rate:
                self.faults += 1
                self._pending[life] = effect  # the reply was lost; the worker tries the same again
                return True
            self._pending[life] = life.send(result)
        except StopIteration:
            return False
        return True

    def _life(self, partition: int, worker: Worker) -> Life:
        """A worker's hold on one partition, from its assignment to the end of the log."""
        log = LogPartition(self.log.log_id, self.log.topic, partition)
        flush = Flush(
            self._store,
            self._ledger,
            self._publisher,
            self._cards.__getitem__,
            lambda: worker.sealed_at_us,
            worker.name,
            10**15,
        )
        done_end, intent = None, None
        if self._rules.uses_ledger:
            done_end, intent = yield Effect("position", lambda: self._ledger.position(log))
        else:
            done_end = self.log.committed.get(partition)
        position = locate(
            done_end, intent, 0, self.log.end(partition), self.log.committed.get(partition)
        )
        self._progress[partition] = max(self._progress.get(partition, 0), position.start)
        planner: PartitionPlanner[Record] = PartitionPlanner(
            position.start, worker.limits, bound_end=intent.end if intent else None
        )
        while planner.start < self.log.end(partition):
            self._deliver(planner, partition)
            batch = planner.seal(10**9)
            if batch is None:
                continue  # an open intent wants more than was delivered
            adopted = intent is not None
            if intent is None:
                proposal = Intent(
                    log=log,
                    start=batch.start,
                    end=batch.end,
                    price_version=worker.price_version,
                    accepted_from_us=worker.accepted_from_us,
                    accepted_until_us=worker.accepted_until_us,
                    sealed_at_us=worker.sealed_at_us,
                    worker=worker.name,
                )
                claim: Claim = yield Effect("claim", self._claim(proposal, len(batch.records)))
                if claim.is_done:
                    planner.skip(claim.done_end)
                    continue
                intent = claim.intent
                adopted = intent != proposal
                if intent.end != batch.end:
                    planner.bind(intent.end)
                    continue
            written = yield from flush.write(batch, intent, adopted, FlushTimes())
            if written is None:
                planner.skip(intent.end)
            else:
                planner.remove(intent.end)
            self._stored(partition, intent.end)
            intent = None

    def _claim(self, proposal: Intent, records: int) -> Callable[[], Claim]:
        if self._rules.uses_ledger:
            return lambda: self._ledger.claim(proposal, records)
        return lambda: Claim(proposal, 0)

    def _deliver(self, planner: PartitionPlanner[Record], partition: int) -> None:
        """Hand over some records, sometimes twice, sometimes with a hole that heals."""
        records = self.log.read(partition, planner.expected)
        for record in records[: self._chance.randint(1, 6)]:
            if self._chance.random() < 0.1:
                planner.offer(record._replace(offset=planner.expected - 1), 0)
            if planner.offer(record, 0) is Verdict.GAP:
                self._deliver(planner, partition)  # read again from where the hole begins
                return

    def _stored(self, partition: int, end: int) -> None:
        self._progress[partition] = max(self._progress.get(partition, 0), end)
        fate = self._chance.random()
        if fate < 0.6:
            self.log.committed[partition] = end
        elif fate < 0.8:
            # Lands in the middle of a batch that somebody else has begun, or far behind.
            self.log.committed[partition] = self._chance.randint(0, end)


def other_limits(chance: random.Random) -> Limits:
    """Limits as another version or another machine might have them."""
    return replace(
        Limits(rows=1, bytes=10**6, age_ms=1, buffer_bytes=10**7),
        rows=chance.choice([3, 5, 8, 13]),
    )
