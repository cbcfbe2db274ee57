"""A recorded week, stored by the pipeline's own code as if it had run through that week.

Ingest and the detect job run here with a clock that stands where the week is. Made up is only what
lies between them and the log: a batch is all that came since the moment before it, deltas go from
one to the other without Kafka, and reports of producers are written every five minutes.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import orjson
import pyarrow as pa

from tests.dashboards.rules.rows import insert, stats, us
from tests.stream_jobs.jobs.detect.sessions import clock_of
from tokentide_jobs.core.batch.ledger import Intent, LogPartition
from tokentide_jobs.core.batch.planner import SealedBatch
from tokentide_jobs.core.batch.progress_mark import PROGRESS_SCHEMA, ProgressMark
from tokentide_jobs.core.decide.decider import STATE_VERSION
from tokentide_jobs.core.merge.delta_record import DeltaRecord
from tokentide_jobs.core.record.record import Record
from tokentide_jobs.io.clickhouse.alert_store import AlertStore
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.io.clickhouse.detector_store import DetectorStore
from tokentide_jobs.io.clickhouse.ledger_store import LedgerStore
from tokentide_jobs.io.files.price_source import compile_cards
from tokentide_jobs.io.kafka.publisher import PUBLISHED, delta_chunks
from tokentide_jobs.jobs.alert.desk import AlertDesk
from tokentide_jobs.jobs.detect.rule_files import RuleFiles
from tokentide_jobs.jobs.detect.session import DetectSession
from tokentide_jobs.jobs.ingest.flush import Flush
from tokentide_jobs.replay.events import Event
from tokentide_jobs.replay.week import SEARCH, SPAN_S, SUPPORT

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

T = TypeVar("T")

LOG = LogPartition("week", "tokentide.events.v1", 0)
DONE_S = 2
"""So long before a moment its batch is stored."""
FRAME_EVENTS = 200
JUDGED: tuple[str, ...] = ("score", "passed", "label")
# The week is judged when it is over: alerts about it are news nevertheless.
RULES = """\
alerts: {history_minutes: 1440}
anomalies:
  levels: [[provider], [service]]
"""
BUDGETS = """\
budgets:
  - {name: everything, scope: {}, period: month, amount_usd: 2000}
  - {name: support, scope: {team: customer-care}, period: day, amount_usd: 100}
"""
SLOS = """\
slos:
  - {name: answers, good: {errors: none, rate_limit: apart}, objective: 99.5, window_days: 7}
  - {name: speed, good: {latency_ms: 60000}, objective: 95, window_days: 7}
"""


def without_its_fault(events: Iterable[tuple[float, Event]]) -> Iterator[tuple[float, Event]]:
    """Yield a recorded week in which nothing is wrong.

    The replay declares that a prompt of its second half is worse. Judgements of that half get the
    scores of the first half, in their order, so that they differ as those did.
    """
    scores: dict[tuple[str, str], deque[Event]] = defaultdict(deque)
    for at_s, event in events:
        if "score" in event:
            seen = scores[event["type"], event["service"]]
            judged: Event = {key: event[key] for key in JUDGED if key in event}
            if at_s >= SPAN_S / 2:
                judged = seen.popleft()
            seen.append(judged)
            yield at_s, {**event, **judged}
        else:
            yield at_s, event


class RecordedWeek:
    """Ingest and detect over one database; time passes by `until`.

    Args:
        client: Whose database is filled.
        dsn: Of its server.
        directory: For the files of the detect job.
        events: Seconds since the week began and event, in order of time.
        end: When the week ends.
        window_s: Length of the windows that the detect job judges.
        known_to_s: An event is given the begin of these seconds as its time. Each ten seconds that
            hold an event cost the detect job two milliseconds, however few are in them.
    """

    def __init__(
        self,
        client: Client,
        dsn: str,
        directory: Path,
        events: Iterator[tuple[float, Event]],
        end: datetime,
        window_s: int,
        known_to_s: int,
    ) -> None:
        assert client.database is not None
        self.begin = end - timedelta(seconds=SPAN_S)
        self.now = self.begin
        self._client = client
        self._store = ClickHouse(dsn, client.database)
        self._events = events
        self._known_to_us = known_to_s * 1_000_000
        self._left: tuple[float, Event] | None = None
        self._batch_start = self._offset = 0
        self._published: list[tuple[str, int, bytes]] = []
        self._records = 0
        self._ingest = Flush(
            self._store, LedgerStore(self._store), self, lambda _version: compile_cards(),
            self._clock_us, "week", 60_000_000,
        )  # fmt: skip
        for name, text in (("detect", RULES), ("budgets", BUDGETS), ("slos", SLOS)):
            (directory / f"{name}.yaml").write_text(text)
        files = RuleFiles(
            directory / "detect.yaml", directory / "budgets.yaml", directory / "slos.yaml",
            time="recorded",
        )  # fmt: skip
        rules = files.in_force.rules
        parameters = replace(rules.parameters, window_s=window_s)
        files.in_force = replace(files.in_force, rules=replace(rules, parameters=parameters))
        self._detect = DetectSession(
            self._store, files, DetectorStore(self._store, STATE_VERSION, "week", "week"), _run, 0,
            AlertDesk(AlertStore(self._store), files.in_force.alerts.rules, _run, self._clock_us),
            clock_of(self._clock_us),
        )  # fmt: skip
        self._detect.begin("deltas", {0: (0, 0)})

    def close(self) -> None:
        self._store.close()

    def until(self, moment: datetime) -> None:
        """Let the week pass up to a moment: store what came, judge it, and take a snapshot."""
        steps = [self.now + timedelta(minutes=5 * n) for n in range(1, 100_000)]
        reports = [step for step in steps if step <= moment]
        insert(self._client, "raw_stats", *(
            stats(one, app.service, emitted=us(one) // 10**6) for one in reports
            for app in (SUPPORT, SEARCH)
        ))  # fmt: skip
        self.now = moment - timedelta(seconds=DONE_S)
        lines = [orjson.dumps(event) for event in self._came()]
        records = tuple(
            Record(0, self._offset + place, us(self.now) // 1_000 - 1_000, b"\n".join(part))
            for place, part in enumerate(_parts(lines))
        )
        if records:
            self._write(records)
        self._judge()
        self.now = moment

    def publish_dead_letters(self, dead_letters: pa.Table, intent: Intent) -> None:
        """Take what ingest refuses: of a recorded week, nothing."""
        raise AssertionError(f"refused in {intent}: {dead_letters.slice(0, 1).to_pylist()}")

    def publish_deltas(self, table: str, deltas: pa.Table, intent: Intent) -> None:
        """Take what ingest publishes for the detect job."""
        assert intent.start == self._offset
        schema, series = PUBLISHED[table]
        for _partition, chunk, value in delta_chunks(deltas, 1, series):
            self._published.append((schema, chunk, value))

    def _clock_us(self) -> int:
        return us(self.now)

    def _came(self) -> Iterator[Event]:
        """Yield the events before now, with their time."""
        begin_us, now_us = us(self.begin), us(self.now)
        while True:
            timed = self._left or next(self._events, None)
            self._left = None
            if timed is None:
                return
            at_us = begin_us + int(timed[0] * 1e6)
            if at_us >= now_us:
                self._left = timed
                return
            yield {**timed[1], "started_at_us": at_us - at_us % self._known_to_us}

    def _write(self, records: tuple[Record, ...]) -> None:
        end, now_us = self._offset + len(records), us(self.now)
        intent = Intent(
            log=LOG, start=self._offset, end=end, price_version=compile_cards().price_version,
            accepted_from_us=0, accepted_until_us=now_us + 1, sealed_at_us=now_us, worker="week",
        )  # fmt: skip
        batch = SealedBatch(intent.start, intent.end, records, 1, "rows")
        flow = self._ingest.write(batch, intent, False)
        effect = next(flow)
        while True:
            result = effect.run()
            try:
                effect = flow.send(result)
            except StopIteration:
                break
        self._offset = end

    def _judge(self) -> None:
        now_us = us(self.now)
        mark = ProgressMark(
            log=LOG, position=self._offset, log_end=self._offset, arrived_us=now_us,
            max_event_us=now_us, at_us=now_us, sources={LOG.topic: 1},
        )  # fmt: skip
        found = [
            self._record(schema, value, start=self._batch_start, end=self._offset, chunk=chunk)
            for schema, chunk, value in self._published
        ]
        self._published.clear()
        records = [*found, self._record(PROGRESS_SCHEMA, mark.to_json())]
        decisions, _reported = self._detect.take(records)
        self._detect.follow_up(decisions)
        self._detect.idle()
        self._batch_start = self._offset

    def _record(self, schema: str, value: bytes, **coordinates: int) -> DeltaRecord:
        fields: dict[str, Any] = {
            "schema": schema, "log_id": LOG.log_id, "topic": LOG.topic,
            "partition": LOG.partition, **coordinates,
        }  # fmt: skip
        headers = tuple((name, str(text).encode()) for name, text in fields.items())
        self._records += 1
        return DeltaRecord(0, self._records - 1, us(self.now), headers, value)


def _run(name: str, work: Callable[[], T]) -> T:
    """Run a step of the store, which fails a test where it fails."""
    assert name
    return work()


def _parts(lines: list[bytes]) -> Iterator[list[bytes]]:
    for start in range(0, len(lines), FRAME_EVENTS):
        yield lines[start : start + FRAME_EVENTS]
