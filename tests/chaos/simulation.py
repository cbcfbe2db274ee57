"""Crash schedules: workers that die, return, lose replies and linger, over one real ClickHouse.

Time is a random walk of single steps. At each step the scheduler picks one life (a worker's hold on
one partition, perhaps lost long ago) and lets it take one step, or kills it before, kills it after,
or hides the reply from it. The Kafka log, its committed offsets and the group are simulated, and
topics are deleted and made again, while those who read the old log go on over the new one; lives,
planner, ledger, rows and tokens are those that ship.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import polars as pl
import pyarrow as pa

from tokentide_jobs.core.batch.ledger import Intent, LogPartition
from tokentide_jobs.core.batch.life import (
    Acknowledge,
    Assignment,
    Begin,
    Collect,
    Effect,
    Life,
    Step,
    partition_life,
)
from tokentide_jobs.core.batch.planner import Limits, OfferResult, PartitionPlanner, SealedBatch
from tokentide_jobs.core.price.cards import CardTable
from tokentide_jobs.core.record.record import Record
from tokentide_jobs.core.tables import SUBJECTS, WINDOWS
from tokentide_jobs.errors import InvariantViolation, LogReplaced
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.io.clickhouse.ledger_store import LedgerStore
from tokentide_jobs.jobs.ingest.flush import Flush

TOPIC = "tokentide.events.v1"
_EVENT_ID = re.compile(rb'"event_id": ?"([0-9a-f-]{36})"')


@dataclass
class SimulatedLog:
    """One incarnation of a topic: records by partition, and what the group has committed.

    The group's offsets outlive the incarnation: two of one topic share `committed`.
    """

    log_id: str
    records: dict[int, list[Record]]
    committed: dict[int, int] = field(default_factory=dict)
    topic: str = TOPIC

    def end(self, partition: int) -> int:
        records = self.records.get(partition)
        return records[-1].offset + 1 if records else 0

    def read(self, partition: int, offset: int) -> list[Record]:
        return [record for record in self.records.get(partition, []) if record.offset >= offset]


@dataclass(frozen=True)
class Worker:
    """What differs between workers: limits, prices, accepted window, subjects, clock."""

    name: str
    limits: Limits
    price_version: str
    accepted_from_us: int
    accepted_until_us: int
    sealed_at_us: int
    subject_kinds: tuple[str, ...]
    max_subjects: int
    void_revision: int

    def propose(self, log: LogPartition, start: int, end: int) -> Intent:
        return Intent(
            log=log,
            start=start,
            end=end,
            price_version=self.price_version,
            accepted_from_us=self.accepted_from_us,
            accepted_until_us=self.accepted_until_us,
            sealed_at_us=self.sealed_at_us,
            worker=self.name,
            subject_kinds=self.subject_kinds,
            max_subjects=self.max_subjects,
            void_revision=self.void_revision,
        )


def voided_ids(logs: Sequence[SimulatedLog]) -> frozenset[str]:
    """Return the ids that are out, where a worker knows of any: those of one event in eight."""
    values = (record.value for log in logs for part in log.records.values() for record in part)
    found = (match.decode() for value in values for match in _EVENT_ID.findall(value))
    return frozenset(one for one in found if one[0] in "05")


class SlimStore(ClickHouse):
    """A store whose tables have fewer columns than the pipeline writes: the others are left out."""

    def __init__(self, url: str, database: str, columns: dict[str, list[str]]) -> None:
        super().__init__(url, database)
        self._columns = columns

    def insert(self, table: str, rows: Any, token: str) -> None:
        known = self._columns[table]
        super().insert(table, rows.select([c for c in rows.column_names if c in known]), token)


class SilentPublisher:
    """Stands for Kafka on the way out; remembers what a reader that drops repeats would."""

    def __init__(self) -> None:
        self.deltas: dict[str, int] = {}
        self.dead_letters: set[tuple[str, int, int]] = set()

    def publish_dead_letters(self, dead_letters: pa.Table, intent: Intent) -> None:
        for offset, idx in pl.DataFrame(dead_letters).select("_offset", "_idx").iter_rows():
            self.dead_letters.add((f"{intent.log.log_id}/{intent.log.partition}", offset, idx))

    def publish_deltas(self, table: str, deltas: pa.Table, intent: Intent) -> None:
        counted = {WINDOWS: "events", SUBJECTS: "requests"}.get(table)
        sums = [1] * deltas.num_rows if counted is None else deltas[counted].to_pylist()
        self.deltas[intent.write_token(table)] = sum(sums)


@dataclass
class Protocol:
    """The shipped protocol, or, in the mutation test, one that lacks a protection."""

    ledger: Callable[[ClickHouse], LedgerStore] = LedgerStore
    life: Callable[[Life], Life] = lambda shipped: shipped
    """Puts another order on the steps of a life."""
    name_of_log: Callable[[str], str] = lambda log_id: log_id


@dataclass
class _Hold:
    """One worker's hold on one partition, perhaps lost long ago."""

    log: SimulatedLog
    partition: int
    limits: Limits
    life: Life
    planner: PartitionPlanner[Record] | None = None
    next_step: Step | None = None


class Schedule:
    """One random history over one topic; `run` plays it to the end.

    Args:
        logs: The incarnations of the topic: each is deleted, read to its end, for the next one.
        store: The real one.
        publisher: Receives what is published.
        cards: Card tables by price version.
        new_worker: Makes workers that differ.
        chance: Decides.
        protocol: What the workers follow.
    """

    def __init__(
        self,
        logs: list[SimulatedLog],
        store: ClickHouse,
        publisher: SilentPublisher,
        cards: dict[str, CardTable],
        new_worker: Callable[[random.Random], Worker],
        chance: random.Random,
        protocol: Protocol,
    ) -> None:
        self.logs = logs
        self.faults = 0
        self.replaced = 0
        """How often a batch came to nothing because its topic had been made again."""
        self.broken_promises: set[str] = set()
        """What went wrong on the way and may not show in the rows at the end."""
        self._store = store
        self._ledger = protocol.ledger(store)
        self._publisher = publisher
        self._cards = cards
        self._new_worker = new_worker
        self._chance = chance
        self._protocol = protocol
        self._zombies: list[_Hold] = []
        self._present = logs[0]
        """What a broker serves under the name of the topic, to every client."""
        self._stored: dict[tuple[str, int], int] = {}

    def run(self, fault_rate: float) -> None:
        """Play until every record is stored, every fault has healed and every zombie has ended."""
        for log in self.logs[:-1]:
            self._play(log, fault_rate, leave_zombies=True)
        self._play(self.logs[-1], fault_rate, leave_zombies=False)

    def _play(self, log: SimulatedLog, fault_rate: float, leave_zombies: bool) -> None:
        self._present = log
        owners: dict[int, _Hold] = {}
        zombies = self._zombies
        for steps in range(5_000):
            if steps > 400:
                fault_rate = 0.0  # let it come to an end
            unfinished = [
                partition for partition in log.records if not self._is_stored(log, partition)
            ]
            if not unfinished and (leave_zombies or not zombies):
                # The owner of a partition is not notified that its topic was deleted.
                zombies.extend(owners.values())
                return
            if zombies and (not unfinished or self._chance.random() < 0.35):
                zombie = self._chance.choice(zombies)
                if not self._step(zombie, fault_rate):
                    zombies.remove(zombie)
                continue
            partition = self._chance.choice(unfinished)
            if partition not in owners:
                owners[partition] = self._assign(log, partition)
            elif self._chance.random() < fault_rate / 2:
                # The group takes the partition away; its worker has not noticed and goes on.
                self.faults += 1
                zombies.append(owners.pop(partition))
                continue
            if not self._step(owners[partition], fault_rate):
                del owners[partition]
        raise AssertionError("the schedule never ends")

    def _assign(self, log: SimulatedLog, partition: int) -> _Hold:
        """Give a partition to a new worker, which lives the life that ships."""
        worker = self._new_worker(self._chance)
        place = LogPartition(self._protocol.name_of_log(log.log_id), log.topic, partition)
        flush = Flush(
            self._store,
            self._ledger,
            self._publisher,
            self._cards.__getitem__,
            lambda: worker.sealed_at_us,
            worker.name,
            10**15,
            voided_at=lambda _revision: voided_ids(self.logs),
        )
        given = Assignment(place, 0, log.end(partition), log.committed.get(partition))
        life = partition_life(given, self._ledger, self._confirm, worker.propose, flush.write)
        return _Hold(log, partition, worker.limits, self._protocol.life(life))

    def _step(self, hold: _Hold, fault_rate: float) -> bool:
        """Let one step happen, or not, or seem not to; return whether the life goes on."""
        if hold.next_step is None and not self._go_on(hold, None):
            return False
        step, fate = hold.next_step, self._chance.random()
        assert isinstance(step, Effect | Acknowledge)
        if fate < fault_rate / 3:
            self.faults += 1
            hold.life.close()  # killed before the step
            return False
        try:
            answer = self._outside(hold, step)
        except LogReplaced:
            self.replaced += 1
            hold.life.close()
            return False
        if fate < fault_rate * 2 / 3:
            self.faults += 1
            hold.life.close()  # killed after the step: the reply was lost
            return False
        if fate < fault_rate:
            self.faults += 1  # the reply was lost; the worker tries the same again
            return True
        return self._go_on(hold, answer)

    def _go_on(self, hold: _Hold, answer: object) -> bool:
        """Bring a life to its next step that a crash could cut; return whether there is one."""
        try:
            step = hold.life.send(answer)
            while not isinstance(step, Effect | Acknowledge):
                batch = self._in_memory(hold, step)
                if isinstance(step, Collect) and batch is None:
                    return False  # it has read all there is
                step = hold.life.send(batch)
        except InvariantViolation as exc:
            # The partition stops and waits for a person; its records are never stored.
            self.broken_promises.add(f"a partition stopped: {str(exc).partition(':')[0]}")
            self._stored[hold.log.log_id, hold.partition] = hold.log.end(hold.partition)
            return False
        hold.next_step = step
        return True

    def _in_memory(self, hold: _Hold, step: Step) -> SealedBatch[Record] | None:
        """Do what a step asks of the worker itself: nothing that a crash could cut."""
        if isinstance(step, Begin):
            position = step.position
            hold.planner = PartitionPlanner(
                position.start, hold.limits, expected=position.read_from
            )
            self._look(hold)
        if not isinstance(step, Collect):
            return None
        planner = hold.planner
        assert planner is not None
        planner.begin_batch(step.start, step.end)
        end = self._present.end(hold.partition)
        while planner.expected < end or not planner.is_empty:
            self._deliver(planner, hold)
            if (batch := planner.seal(10**9)) is not None:
                return batch
            if step.end is not None and step.end > end:
                if hold.log is not self._present:
                    return None  # the records it waits for are gone with their topic
                raise InvariantViolation(f"the intent waits for records before {step.end}")
        return None

    def _outside(self, hold: _Hold, step: Effect | Acknowledge[Any, Any]) -> Any:
        """Let a step change the world."""
        if isinstance(step, Effect):
            result = step.run()
            if step.name == "finish":
                self._look(hold)
            return result
        if step.end > self._look(hold):
            self.broken_promises.add("records were acknowledged before they were stored")
        fate = self._chance.random()
        if fate < 0.6:
            hold.log.committed[hold.partition] = step.end
        elif fate < 0.8:
            # Lands in the middle of a batch that another worker has begun, or far behind.
            hold.log.committed[hold.partition] = self._chance.randint(0, step.end)
        return None

    def _confirm(self, log: LogPartition) -> None:
        """Answer as a broker does: by the id of the topic as it is now."""
        if self._protocol.name_of_log(self._present.log_id) != log.log_id:
            raise LogReplaced(log.log_id)

    def _is_stored(self, log: SimulatedLog, partition: int) -> bool:
        return self._stored.get((log.log_id, partition), 0) >= log.end(partition)

    def _look(self, hold: _Hold) -> int:
        """Ask the ledger how far a partition is stored, and remember it."""
        log_id = self._protocol.name_of_log(hold.log.log_id)
        ends = LedgerStore(self._store).positions(log_id, hold.log.topic)
        self._stored[hold.log.log_id, hold.partition] = ends.get(hold.partition, 0)
        return ends.get(hold.partition, 0)

    def _deliver(self, planner: PartitionPlanner[Record], hold: _Hold) -> None:
        """Hand over some records, sometimes twice, sometimes with a hole that heals."""
        records = self._present.read(hold.partition, planner.expected)
        for record in records[: self._chance.randint(1, 6)]:
            if self._chance.random() < 0.1:
                planner.offer(record._replace(offset=planner.expected - 1), 0)
            if planner.offer(record, 0) is OfferResult.GAP:
                self._deliver(planner, hold)  # read again from where the hole begins
                return


def other_limits(chance: random.Random) -> Limits:
    """Limits as another version or another machine might have them."""
    return replace(
        Limits(rows=1, bytes=10**6, age_ms=1, buffer_bytes=10**7),
        rows=chance.choice([3, 5, 8, 13]),
    )
