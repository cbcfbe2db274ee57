"""The state of the pipeline in one picture, and the one verdict on it.

What was read comes in, problems go out, each naming what to look at. `bad` means that events are
not being stored, or will not be soon; `attention` that somebody should look, while all is stored.
Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

from tokentide_jobs.counted import counted

__all__ = ["DroppingProducer", "PartitionLag", "Problem", "Status", "Verdict", "WorkerState"]

Verdict = Literal["ok", "attention", "bad"]

_LAG_ATTENTION_S: Final = 15.0
_LAG_BAD_S: Final = 60.0
"""Ingest stores within a second; what waits this long waits for something."""
_QUIET_BAD_S: Final = 60.0
"""Without a batch for so long, records of unknown age wait for something too."""
_START_S: Final = 60.0
"""A stack that is older than this does not start any more: its workers should be there."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is not as it must be."""

    verdict: Verdict
    words: str


@dataclass(frozen=True, slots=True)
class PartitionLag:
    """How far ingest is behind in one partition.

    Attributes:
        topic: Name of the topic.
        partition: Its number.
        position: End of the last finished batch.
        end: Offset of the next record.
        oldest_ms: Age of the oldest record that is not stored yet; None: there is none, or unknown.
    """

    topic: str
    partition: int
    position: int
    end: int
    oldest_ms: float | None = None

    @property
    def records(self) -> int:
        """Records that are not stored yet."""
        return max(0, self.end - self.position)


@dataclass(frozen=True, slots=True)
class WorkerState:
    """What one worker says about itself.

    Attributes:
        name: For people.
        is_ready: Whether it reads and stores.
        problems: Why not.
        is_starting: It is not ready yet, and has begun only a moment ago.
        resting: Partitions that its breaker pauses, each with the end of the pause.
        min_free_bytes: With less free disk it stores nothing; None: it does not say.
        role: `ingest`, or `detect`, which decides and stores no event.
        notes: What somebody should look at although it works.
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
        kafka_problem: Why the broker did not answer; "" if it did.
        clickhouse_problem: Why ClickHouse did not answer as it must; "" if it did.
        log_end: Records that the topics have had so far; None: not known.
        lags: By partition of every topic that is read; none where the ledger could not be read.
        workers: Those that could be asked.
        stack_workers: How many ingest workers the running stack keeps.
        stack_detectors: How many detect workers it keeps.
        stack_age_s: For how long the stack has been running.
        group_members: Workers in the consumer group; None: not known.
        last_batch_age_s: Since the last finished batch; None: there is none.
        dead_letters: Of the last hour, by reason.
        dropping: Producers that dropped events in the last hour.
        free_bytes: Of ClickHouse's disk.
        min_free_bytes: Below this nothing is stored, by the settings of whoever asks; what a worker
            says of itself comes first.
    """

    kafka_problem: str = ""
    clickhouse_problem: str = ""
    log_end: int | None = None
    lags: Sequence[PartitionLag] = ()
    workers: Sequence[WorkerState] = ()
    stack_workers: int = 0
    stack_detectors: int = 0
    stack_age_s: float = 0.0
    group_members: int | None = None
    last_batch_age_s: float | None = None
    dead_letters: Mapping[str, int] = field(default_factory=dict)
    dropping: Sequence[DroppingProducer] = ()
    free_bytes: int | None = None
    min_free_bytes: int = 0

    @property
    def lag_records(self) -> int:
        """Records that are not stored yet."""
        return sum(lag.records for lag in self.lags)

    @property
    def lag_s(self) -> float | None:
        """Age of the oldest record that is not stored yet, None if there is none."""
        ages = [lag.oldest_ms for lag in self.lags if lag.records and lag.oldest_ms is not None]
        return max(ages) / 1000 if ages else None

    @property
    def unaged_records(self) -> int:
        """Records that are not stored yet, of partitions that do not say since when."""
        return sum(lag.records for lag in self.lags if lag.oldest_ms is None)

    @property
    def floor_bytes(self) -> int:
        """Below this nothing is stored: the floor of the workers, if they say one."""
        said = [w.min_free_bytes for w in self.ingest_workers if w.min_free_bytes is not None]
        return max(said, default=self.min_free_bytes)

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
        return not self.kafka_problem and not self.clickhouse_problem

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
        return {
            "verdict": self.verdict,
            "problems": [asdict(problem) for problem in self.problems],
            "kafka": {"answers": not self.kafka_problem, "problem": self.kafka_problem},
            "clickhouse": {
                "answers": not self.clickhouse_problem,
                "problem": self.clickhouse_problem,
                "free_bytes": self.free_bytes,
                "min_free_bytes": self.floor_bytes,
            },
            "workers": [asdict(worker) for worker in self.workers],
            "stack_workers": self.stack_workers,
            "stack_detectors": self.stack_detectors,
            "group_members": self.group_members,
            "lag_records": self.lag_records,
            "lag_s": self.lag_s,
            "partitions": [{**asdict(lag), "records": lag.records} for lag in self.lags],
            "last_batch_age_s": self.last_batch_age_s,
            "dead_letters_last_hour": dict(self.dead_letters),
            "dropping_producers": [asdict(producer) for producer in self.dropping],
        }

    def _problems(self) -> Iterator[Problem]:
        if self.kafka_problem:
            yield Problem("bad", self.kafka_problem)
        if self.clickhouse_problem:
            yield Problem("bad", self.clickhouse_problem)
        if self.free_bytes is not None and self.free_bytes < self.floor_bytes:
            yield Problem(
                "bad",
                f"ClickHouse's disk has {self.free_bytes // 2**20} MiB free and nothing is stored "
                f"below {self.floor_bytes // 2**20} (TOKENTIDE_MIN_FREE_BYTES): free some",
            )
        yield from self._worker_problems()
        yield from self._lag_problems()
        if self.dead_letters:
            total = counted(sum(self.dead_letters.values()), "dead letter")
            reasons = ", ".join(f"{n:,} {reason}" for reason, n in self.dead_letters.items())
            yield Problem(
                "attention",
                f"{total} in the last hour ({reasons}): `tokentide dlq list`",
            )
        for producer in self.dropping:
            yield Problem(
                "attention",
                f"producer {producer.producer_id} of {producer.service} dropped "
                f"{counted(producer.dropped, 'event')} in the last hour: its queue is too small, "
                "or the broker too far away",
            )

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
                    f"partition {partition}: most of its recent events are bad, so it rests; "
                    "`tokentide dlq list` shows them",
                )
        if self.missing_workers:
            workers = counted(
                self.missing_workers, "worker of the stack is", "workers of the stack are"
            )
            is_young = self.stack_age_s < _START_S
            # A member that died is counted until its session ends: only then nobody reads.
            is_down = not is_young and self.group_members == 0
            why = "" if is_young else " again: `logs/worker-*.log` in the data directory say why"
            yield Problem(
                "bad" if is_down else "attention",
                f"{workers} starting{why}",
            )

        if self.missing_detectors:
            again = "" if self.stack_age_s < _START_S else " again: `logs/detect.log` says why"
            yield Problem("attention", f"the detect worker of the stack is starting{again}")

    def _lag_problems(self) -> Iterator[Problem]:
        has_workers = bool(self.ingest_workers or self.stack_workers) or self.group_members != 0
        if not has_workers and not self.kafka_problem:
            verdict: Verdict = "bad" if self.lag_records else "attention"
            wait = counted(self.lag_records, "record waits", "records wait")
            waiting = f", and {wait}" if self.lag_records else ""
            yield Problem(
                verdict, f"no worker reads the topics{waiting}: start `tokentide worker ingest`"
            )
        elif self.lag_s is not None and self.lag_s > _LAG_ATTENTION_S:
            yield Problem(
                "bad" if self.lag_s > _LAG_BAD_S else "attention",
                f"the oldest of {counted(self.lag_records, 'record')} has waited "
                f"{self.lag_s:.0f} s: too few workers, or a worker that waits for something",
            )
        elif self.unaged_records:
            quiet_s = self.last_batch_age_s
            is_quiet = quiet_s is None or quiet_s > _QUIET_BAD_S
            last = "none is known" if quiet_s is None else f"the last one ended {quiet_s:.0f} s ago"
            yield Problem(
                "bad" if is_quiet else "attention",
                f"{counted(self.unaged_records, 'record waits', 'records wait')}, nobody can say "
                f"since when: the broker did not send them in time. Of batches, {last}",
            )
