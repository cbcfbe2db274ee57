"""The state of the pipeline in one picture, and the one verdict on it.

What was read comes in, problems go out, each naming what to look at. `bad` means that events are
not being stored, or will not be soon, or that this is unknown; `attention` that something is to be
looked at, while all is stored. What was not read is None, never zero. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal, TypeVar

from tokentide_jobs.core.failing_receiver import FailingReceiver
from tokentide_jobs.core.partition_lag import PartitionLag, long_transaction
from tokentide_jobs.counted import counted

__all__ = ["DroppingProducer", "Problem", "Status", "Verdict", "WorkerState"]

Verdict = Literal["ok", "attention", "bad"]
_Json = dict[str, Any]
_T = TypeVar("_T")

_LAG_ATTENTION_S: Final = 15.0
_LAG_BAD_S: Final = 60.0
"""Ingest stores within a second; what waits this long waits for something."""
_QUIET_BAD_S: Final = 60.0
"""Without a batch for so long, records of unknown age wait for something too."""
_LIKELY_CAUSE: Final = ": too few workers, or a worker that waits for something"
_TRANSACTION_BAD_S: Final = 900.0
"""By a broker's default none may be longer: what is held back so long is not being stored."""
_START_S: Final = 60.0
"""A stack that is older than this does not start any more: its workers should be there."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is not as it must be.

    Attributes:
        verdict: How bad it is.
        words: What it is, and what to do.
        is_unknown: It states only that something could not be read.
    """

    verdict: Verdict
    words: str
    is_unknown: bool = False


@dataclass(frozen=True, slots=True)
class WorkerState:
    """What one worker reports about itself.

    Attributes:
        name: For people.
        is_ready: Whether it reads and stores.
        problems: Why not.
        is_starting: It is not ready yet, and has begun only a moment ago.
        resting: Partitions that its breaker pauses, each with the end of the pause.
        min_free_bytes: With less free disk it stores nothing; None: not reported.
        role: `ingest`, or `detect`, which decides and stores no event.
        notes: What is to be looked at although it works.
    """

    name: str
    is_ready: bool
    problems: tuple[str, ...] = ()
    is_starting: bool = False
    resting: tuple[str, ...] = ()
    min_free_bytes: int | None = None
    role: str = "ingest"
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DroppingProducer:
    """A producer that dropped events."""

    service: str
    producer_id: str
    dropped: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Everything that was read. What could not be read is None, and its cause a problem.

    Attributes:
        kafka_problem: Why nothing could be read from the broker; "" if it could.
        kafka_answers: Whether it answers all the same: a topic may be missing.
        clickhouse_problem: Why nothing could be read from ClickHouse; "" if it could.
        clickhouse_answers: Whether it answers all the same: it may refuse the password.
        refused: What ClickHouse refused to answer, while it answered the rest.
        schema: How the database is not as the SQL files make it; empty: it is; None: not known.
        log_end: Records that the topics have had so far; None: not known.
        lags: By partition of every topic that is read; None: not known.
        workers: Those that could be asked.
        stack_workers: How many ingest workers the running stack keeps.
        stack_detectors: How many detect workers it keeps.
        stack_age_s: For how long the stack has been running.
        group_members: Workers in the consumer group; None: not known.
        knows_last_batch: Whether the ledger could be asked for it.
        last_batch_age_s: Since the last finished batch; None: there is none, or it is not known.
        dead_letters: Of the last hour, by reason; None: not known.
        dropping: Producers that dropped events in the last hour; None: not known.
        failing_receivers: Receivers that do not take notifications; None: not known.
        free_bytes: Of ClickHouse's disk; None: not known.
        min_free_bytes: Below this nothing is stored, by the settings of the caller; what a worker
            reports of itself comes first.
    """

    kafka_problem: str = ""
    kafka_answers: bool = True
    clickhouse_problem: str = ""
    clickhouse_answers: bool = True
    refused: Sequence[str] = ()
    schema: Sequence[Problem] | None = None
    log_end: int | None = None
    lags: Sequence[PartitionLag] | None = None
    workers: Sequence[WorkerState] = ()
    stack_workers: int = 0
    stack_detectors: int = 0
    stack_age_s: float = 0.0
    group_members: int | None = None
    knows_last_batch: bool = False
    last_batch_age_s: float | None = None
    dead_letters: Mapping[str, int] | None = None
    dropping: Sequence[DroppingProducer] | None = None
    failing_receivers: Sequence[FailingReceiver] | None = None
    free_bytes: int | None = None
    min_free_bytes: int = 0

    @property
    def lag_records(self) -> int | None:
        """Records that are not stored yet; None: not known."""
        return None if self.lags is None else sum(lag.records for lag in self.lags)

    @property
    def behind_transaction_records(self) -> int | None:
        """Records that no reader gets before an open transaction ends; None: not known."""
        return None if self.lags is None else sum(lag.behind_transaction for lag in self.lags)

    @property
    def lag_s(self) -> float | None:
        """Age of the oldest record that is not stored yet, None: there is none, or not known."""
        lags = self.lags or ()
        ages = [lag.oldest_ms for lag in lags if lag.records and lag.oldest_ms is not None]
        return max(ages) / 1000 if ages else None

    @property
    def unaged_records(self) -> int:
        """Records that are not stored yet, of partitions that do not say since when."""
        return sum(lag.records for lag in self.lags or () if lag.oldest_ms is None)

    @property
    def dropped_events(self) -> int | None:
        """Events that producers dropped in the last hour; None: not known."""
        return None if self.dropping is None else sum(one.dropped for one in self.dropping)

    @property
    def floor_bytes(self) -> int:
        """Below this nothing is stored: the floor of the workers, if they say one."""
        floors = [w.min_free_bytes for w in self.ingest_workers if w.min_free_bytes is not None]
        return max(floors, default=self.min_free_bytes)

    @property
    def ingest_workers(self) -> tuple[WorkerState, ...]:
        """Workers that store events."""
        return tuple(worker for worker in self.workers if worker.role == "ingest")

    @property
    def missing_workers(self) -> int:
        """Ingest workers that the stack keeps and that cannot be asked."""
        return max(0, self.stack_workers - len(self.ingest_workers))

    @property
    def missing_detectors(self) -> int:
        """Detect workers that the stack keeps and that cannot be asked."""
        others = len(self.workers) - len(self.ingest_workers)
        return max(0, self.stack_detectors - others)

    @property
    def is_reachable(self) -> bool:
        """Whether both services answered."""
        return self.kafka_answers and self.clickhouse_answers

    @property
    def unknown(self) -> tuple[str, ...]:
        """Names, in the JSON form, of what could not be read; null elsewhere means that it is not.

        An age is null where nothing waits, and where there was no batch.
        """
        is_known = {
            "free_bytes": self.free_bytes is not None,
            "schema_is_as_made": self.schema is not None,
            "log_end": self.log_end is not None,
            "group_members": self.group_members is not None,
            "lag_records": self.lags is not None,
            "behind_transaction_records": self.lags is not None,
            "lag_s": self.lags is not None and (self.lag_s is not None or not self.unaged_records),
            "partitions": self.lags is not None,
            "last_batch_age_s": self.knows_last_batch,
            "dead_letters_last_hour": self.dead_letters is not None,
            "dropping_producers": self.dropping is not None,
            "failing_receivers": self.failing_receivers is not None,
        }
        return tuple(name for name, known in is_known.items() if not known)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Return what is wrong, the worst first."""
        return tuple(sorted(self._problems(), key=lambda problem: problem.verdict != "bad"))

    @property
    def verdict(self) -> Verdict:
        """Return the worst of all problems."""
        found = {problem.verdict for problem in self.problems}
        return "bad" if "bad" in found else "attention" if found else "ok"

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        dead_letters = self.dead_letters
        return {
            "verdict": self.verdict,
            "problems": [asdict(problem) for problem in self.problems],
            "unknown": list(self.unknown),
            "kafka": {"answers": self.kafka_answers, "problem": self.kafka_problem},
            "clickhouse": {
                "answers": self.clickhouse_answers,
                "problem": self.clickhouse_problem,
                "free_bytes": self.free_bytes,
                "min_free_bytes": self.floor_bytes,
            },
            "schema_is_as_made": None if self.schema is None else not self.schema,
            "workers": [asdict(worker) for worker in self.workers],
            "stack_workers": self.stack_workers,
            "stack_detectors": self.stack_detectors,
            "group_members": self.group_members,
            "log_end": self.log_end,
            "lag_records": self.lag_records,
            "lag_s": self.lag_s,
            "behind_transaction_records": self.behind_transaction_records,
            "partitions": _listed(self.lags, lambda lag: {**asdict(lag), "records": lag.records}),
            "last_batch_age_s": self.last_batch_age_s,
            "dead_letters_last_hour": None if dead_letters is None else dict(dead_letters),
            "dropping_producers": _listed(self.dropping, asdict),
            "failing_receivers": _listed(self.failing_receivers, asdict),
        }

    def _problems(self) -> Iterator[Problem]:
        if self.kafka_problem:
            yield Problem("bad", self.kafka_problem)
        if self.clickhouse_problem:
            yield Problem("bad", self.clickhouse_problem)
        yield from self.schema or ()
        if self.free_bytes is not None and self.free_bytes < self.floor_bytes:
            yield Problem(
                "bad",
                f"ClickHouse's disk has {self.free_bytes // 2**20} MiB free and nothing is stored "
                f"below {self.floor_bytes // 2**20} (TOKENTIDE_MIN_FREE_BYTES): free some",
            )
        yield from self._worker_problems()
        yield from self._lag_problems()
        yield from self._transaction_problems()
        for words in self.refused:
            # Without the ledger it is unknown whether everything is stored.
            verdict: Verdict = "bad" if self.lags is None else "attention"
            yield Problem(verdict, f"unknown: {words}", is_unknown=True)
        if self.dead_letters:
            total = counted(sum(self.dead_letters.values()), "dead letter")
            reasons = ", ".join(f"{n:,} {reason}" for reason, n in self.dead_letters.items())
            yield Problem(
                "attention",
                f"{total} in the last hour ({reasons}): `tokentide dlq list`",
            )
        for producer in self.dropping or ():
            yield Problem(
                "attention",
                f"producer {producer.producer_id} of {producer.service} dropped "
                f"{counted(producer.dropped, 'event')} in the last hour: its queue is too small, "
                "or the broker too far away",
            )
        for receiver in self.failing_receivers or ():
            yield Problem("attention", receiver.words)

    def _worker_problems(self) -> Iterator[Problem]:
        for worker in self.workers:
            words = "; ".join(worker.problems) or "it does not answer"
            # Without detection events are stored all the same.
            is_ingest = worker.role == "ingest"
            name = f"worker {worker.name}" if is_ingest else f"{worker.role} worker {worker.name}"
            if worker.is_starting:
                yield Problem("attention", f"{name} is starting: {words}")
            elif not worker.is_ready:
                yield Problem("bad" if is_ingest else "attention", f"{name} is not ready: {words}")
            for note in worker.notes:
                yield Problem("attention", f"{name}: {note}")
            for partition in worker.resting:
                yield Problem(
                    "attention",
                    f"partition {partition}: most of its recent events are refused, so it rests; "
                    "`tokentide dlq list` shows them",
                )
        if self.missing_workers:
            workers = counted(
                self.missing_workers, "worker of the stack is", "workers of the stack are"
            )
            is_young = self.stack_age_s < _START_S
            # A member that died is counted until its session ends: only then there is no reader.
            is_down = not is_young and self.group_members == 0
            why = "" if is_young else " again: `logs/worker-*.log` in the data directory say why"
            yield Problem(
                "bad" if is_down else "attention",
                f"{workers} starting{why}",
            )

        if self.missing_detectors:
            again = "" if self.stack_age_s < _START_S else " again: `logs/detect.log` says why"
            yield Problem("attention", f"the detect worker of the stack is starting{again}")

    @property
    def _says_why(self) -> bool:
        """Whether something is known that keeps records waiting: then no cause is guessed."""
        has_room = self.free_bytes is None or self.free_bytes >= self.floor_bytes
        works = all(worker.is_ready and not worker.resting for worker in self.ingest_workers)
        return not (has_room and works) or bool(
            self.missing_workers or self.schema or self.clickhouse_problem
        )

    def _lag_problems(self) -> Iterator[Problem]:
        has_workers = bool(self.ingest_workers or self.stack_workers) or self.group_members != 0
        records = self.lag_records or 0
        if not has_workers and not self.kafka_problem:
            verdict: Verdict = "bad" if records else "attention"
            wait = counted(records, "record waits", "records wait")
            waiting = f", and {wait}" if records else ""
            yield Problem(
                verdict, f"no worker reads the topics{waiting}: start `tokentide worker ingest`"
            )
        elif self.lag_s is not None and self.lag_s > _LAG_ATTENTION_S:
            yield Problem(
                "bad" if self.lag_s > _LAG_BAD_S else "attention",
                f"the oldest of {counted(records, 'record')} has waited {self.lag_s:.0f} s"
                f"{'' if self._says_why else _LIKELY_CAUSE}",
            )
        elif self.unaged_records:
            quiet_s = self.last_batch_age_s
            is_quiet = quiet_s is None or quiet_s > _QUIET_BAD_S
            last = "none is known" if quiet_s is None else f"the last one ended {quiet_s:.0f} s ago"
            yield Problem(
                "bad" if is_quiet else "attention",
                f"{counted(self.unaged_records, 'record waits', 'records wait')}, since when is "
                f"unknown: the broker did not send them in time. Of batches, {last}",
            )

    def _transaction_problems(self) -> Iterator[Problem]:
        found = long_transaction(self.lags or ())
        if found is not None:
            yield Problem("bad" if found.age_s > _TRANSACTION_BAD_S else "attention", found.words)


def _listed(found: Sequence[_T] | None, shape: Callable[[_T], _Json]) -> list[_Json] | None:
    return None if found is None else [shape(one) for one in found]
