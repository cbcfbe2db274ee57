"""The Faust application of a worker: settings that were measured, and a consumer that asks us.

Faust brings the group membership, the agent loop and the life cycle. Where reading begins is the
ledger's business, so its consumer seeks to the positions it is given instead of to the committed
offsets, and a commit that fails costs nothing.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

import faust
from aiokafka.errors import ConsumerStoppedError
from aiokafka.structs import OffsetAndMetadata
from faust.assignor.partition_assignor import PartitionAssignor
from faust.sensors import Monitor
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from faust.worker import Worker

from tokentide_jobs.io.kafka.bounded_fetch import bound_fetches
from tokentide_jobs.io.kafka.bounded_poll import bounded_poll
from tokentide_jobs.jobs.runtime.log import log_event
from tokentide_jobs.settings import Settings

__all__ = ["JobApp", "JobConsumer", "JobWorker", "Positions", "build_app"]

_log = logging.getLogger(__name__)

Positions = Callable[[set[TP]], Awaitable[Mapping[TP, int]]]
"""Where to begin with partitions that were just assigned."""

_BUFFERED_RECORDS = 32
"""Frames of up to 256 KiB wait between Faust's consumer and the agent: 8 MiB at most."""

_METADATA_AGE_MS = 5_000
"""A broker that has just come up may not know its topics yet. The leader of the group then assigns
no partition, and looks again when its metadata is this old: by default five minutes."""
_FETCH_BYTES = 1024 * 1024
"""Per partition and fetch, compressed; several times that in memory. Larger records come too."""

_PAUSED_LOOK_S = 0.05
"""Between two looks whether a partition that pauses goes on."""
_REQUEST_TIMEOUT_S = 90.0
_COMMIT_S = 10.0
"""The ledger knows the position; no batch waits longer for a commit that only shows it."""


class _ConsumerThread(driver.AIOKafkaConsumerThread):
    """Faust's consumer thread; it reads committed records and survives a failed commit."""

    def _create_worker_consumer(self, transport: Any) -> Any:
        """Read committed records only: what a transaction took back is not to become money."""
        consumer = super()._create_worker_consumer(transport)
        # Faust asks for it only where it writes in transactions itself.
        consumer._isolation_level = "read_committed"
        return consumer

    async def _fetch_records(
        self,
        consumer: Any,
        active_partitions: Any,
        timeout: float | None = None,  # noqa: ASYNC109 -- Faust's own signature
        max_records: int | None = None,
    ) -> Any:
        """Hand on a few megabytes of what was fetched, of partitions that do not pause."""
        # Faust takes partitions out of this set while we wait, and with an empty one aiokafka
        # would hand on the records of all.
        wanted = set(active_partitions)
        fetch = partial(super()._fetch_records, consumer, wanted)
        return await bounded_poll(consumer, fetch, timeout, max_records) if wanted else {}

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        consumer = self._ensure_consumer()
        assigned = self.assignment()
        wanted = {
            driver.ensure_aiokafka_TP(tp): OffsetAndMetadata(offset, "")
            for tp, offset in offsets.items()
            if tp in assigned
        }
        try:
            if wanted:
                await consumer.commit(wanted)
        except Exception as exc:
            # The ledger knows the position; the committed offset only shows it to other tools.
            log_event(_log, logging.WARNING, "commit_failed", error=repr(exc))
            _job_app(self.app).on_commit_failed()
            return False
        return True

    @property
    def generation(self) -> int:
        """Return the generation of the group that this member has joined."""
        return int(self._ensure_consumer()._coordinator.generation)

    async def committed(self, partitions: set[TP]) -> dict[TP, int | None]:
        """Return the group's committed offsets; None where there is none."""
        return {tp: await self.call_thread(self._committed, tp) for tp in partitions}

    async def _committed(self, tp: TP) -> int | None:
        offset: int | None = await self._ensure_consumer().committed(driver.ensure_aiokafka_TP(tp))
        return offset


class _NoOffsets(dict[TP, int | None]):
    """Answers None for every partition: nothing that is delivered counts as read before.

    Faust notes the offset of each record it hands on, and drops records before it. When reading
    begins again in the middle of a fetch, the rest of that fetch moves the note on, and the
    records of the second reading would be dropped: a hole that both readings show.
    """

    def __getitem__(self, _tp: TP) -> None:
        return None


class JobConsumer(driver.Consumer):
    """Faust's consumer, less its own idea of where reading is and what may be committed.

    It seeks to the positions that the app's `positions` gives, hands on whatever arrives, and
    commits what is reported as stored: offsets without a record are no reason to stay behind.
    """

    _thread: _ConsumerThread

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._read_offset = _NoOffsets()
        self._stored_ends: dict[TP, int] = {}
        self._hanging_commit: asyncio.Future[bool] | None = None

    @property
    def generation(self) -> int:
        """Return the generation of the group: it grows whenever partitions are given out."""
        return self._thread.generation

    def stored(self, tp: TP, end: int) -> None:
        """Let the next commit say that everything before `end` is done."""
        self._stored_ends[tp] = end

    def on_buffer_drop(self, tp: TP) -> None:
        """Let a partition go on whose buffer was full, unless the job paused it."""
        # Faust knows one pause only, and its agent's buffer may be empty long before the job's is.
        if not _job_app(self.app).is_paused(tp):
            super().on_buffer_drop(tp)

    async def commit_soon(self) -> None:
        """Commit what is stored; a consumer that is busy losing its group is not waited for."""
        # Faust's commit swallows cancellation where it waits for an earlier one that hangs, so it
        # is never cancelled, and no other is begun beside it.
        commit = self._hanging_commit
        if commit is None or commit.done():
            commit, self._hanging_commit = asyncio.ensure_future(self.commit()), None
        done, _ = await asyncio.wait({commit}, timeout=_COMMIT_S)
        if done:
            commit.result()
        else:
            self._hanging_commit = commit
            log_event(_log, logging.WARNING, "commit_failed", error=f"no answer in {_COMMIT_S} s")
            _job_app(self.app).on_commit_failed()

    def _new_offset(self, tp: TP) -> int | None:
        self._acked[tp].clear()
        self._acked_index[tp].clear()
        return self._stored_ends.get(tp)

    def _new_consumer_thread(self) -> _ConsumerThread:
        return _ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def _drain_messages(self, fetcher: Any) -> None:
        """Hand on all that was fetched, until the fetcher stops.

        Faust does the same with four tasks for each record, a quarter of the event loop's work.
        """
        try:
            while not self.should_stop and not fetcher.should_stop:
                await asyncio.sleep(0)
                await self._hand_on([message async for _tp, message in self.getmany(timeout=1.0)])
        except (asyncio.CancelledError, ConsumerStoppedError):
            if not self.transport.app.should_stop:
                raise

    async def _hand_on(self, messages: Sequence[Any]) -> None:
        async def one_by_one() -> None:
            for message in messages:
                await self.callback(message)
                await asyncio.sleep(0)  # the agent takes it in this turn: its buffer stays empty

        if messages:
            # A full buffer is not waited for while partitions are given out again.
            await self.wait_first(one_by_one(), self.suspend_flow.wait())

    async def _wait_next_records(
        self,
        timeout: float,  # noqa: ASYNC109 -- Faust's own signature
    ) -> Any:
        """Ask again soon while a partition pauses: a wait does not end when one goes on."""
        if not self._buffered_partitions:
            return await super()._wait_next_records(timeout)
        if self.flow_active and not self._get_active_partitions():
            await asyncio.sleep(_PAUSED_LOOK_S)  # Faust would sleep for a second
            return {}, set()
        return await super()._wait_next_records(min(timeout, _PAUSED_LOOK_S))

    async def perform_seek(self) -> None:
        """Seek every assigned partition; called after a rebalance and when a fetch was cut."""
        app = _job_app(self.app)
        if app.should_stop:
            return
        assigned = self.assignment()
        positions = await app.positions(assigned) if assigned else {}
        await self.seek_partitions(positions)
        # Acks count from here; None would let a commit jump over unacked records.
        self._committed_offset.update({tp: at or None for tp, at in positions.items()})

    async def seek_partitions(self, positions: Mapping[TP, int]) -> None:
        """Read on from the given offsets; those no longer assigned are left alone."""
        assigned = self.assignment()
        wanted = {tp: at for tp, at in positions.items() if tp in assigned}
        if wanted:
            await self.seek_wait(wanted)

    async def committed(self, partitions: set[TP]) -> dict[TP, int | None]:
        """Return the group's committed offsets; None where there is none."""
        return await self._thread.committed(partitions)


class _InboundTimes(Monitor):
    """Notes when each partition had its last event, which Faust's own watch asks for.

    Its other statistics of every record have no reader: ours are in `core/metrics.py`.
    """

    def on_message_in(self, *_args: Any) -> None:
        """Count nothing."""

    def on_stream_event_in(self, tp: TP, *_args: Any) -> None:
        """Note the time."""
        self.stream_inbound_time[tp] = time.monotonic()

    def on_stream_event_out(self, *_args: Any) -> None:
        """Count nothing."""

    def on_message_out(self, *_args: Any) -> None:
        """Count nothing."""


class JobTransport(driver.Transport):
    """Faust's Kafka transport with our consumer."""

    Consumer = JobConsumer


class JobApp(faust.App):
    """A Faust app that gets positions from the job instead of from Kafka."""

    positions: Positions
    on_commit_failed: Callable[[], None]
    is_paused: Callable[[TP], bool] = staticmethod(lambda _tp: False)
    """Whether the job itself reads no more of a partition now; a job that pauses returns so."""

    def _create_directories(self) -> None:
        """Make none: Faust's directories hold its tables, and a worker without them needs no disk.

        It runs in an empty directory, as another user and on a read-only file system.
        """


class JobWorker(Worker):
    """Faust's worker without its logging, console and block detector."""

    def _setup_logging(self) -> None:
        """Leave the logging of the process as it is."""

    def on_init_dependencies(self) -> Any:
        """Start the app, and no more."""
        self.spinner = None
        return super().on_init_dependencies()

    def change_workdir(self, path: Any) -> None:
        """Stay where the process was started."""


def _job_app(app: object) -> JobApp:
    assert isinstance(app, JobApp)
    return app


def build_app(
    settings: Settings,
    positions: Positions,
    on_commit_failed: Callable[[], None],
    loop: asyncio.AbstractEventLoop,
    group: str = "",
    assignor: type[PartitionAssignor] = PartitionAssignor,
) -> JobApp:
    """Return the app of a worker, with no agent yet.

    Args:
        settings: Brokers, group, timeouts.
        positions: Asked for the first offset to read of every assigned partition.
        on_commit_failed: Called when Kafka refused a commit.
        loop: The loop everything runs on.
        group: Consumer group; empty: that of ingest.
        assignor: Decides which worker of the group gets which partitions.
    """
    bound_fetches()
    session_s = settings.session_timeout_ms / 1000
    app = JobApp(
        group or settings.group,
        PartitionAssignor=assignor,
        broker=";".join(
            f"kafka://{server.strip()}" for server in settings.kafka_bootstrap.split(",")
        ),
        loop=loop,
        Monitor=_InboundTimes,
        agent_supervisor="mode.CrashingSupervisor",
        broker_commit_every=1_000_000,
        broker_commit_interval=5.0,
        broker_heartbeat_interval=min(3.0, session_s / 3),
        # An outage of the store longer than this would make the worker leave the group for good.
        broker_max_poll_interval=1e9,
        broker_rebalance_timeout=max(session_s, 10.0) * 2,
        broker_request_timeout=_REQUEST_TIMEOUT_S,
        broker_session_timeout=session_s,
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=_FETCH_BYTES,
        consumer_metadata_max_age_ms=_METADATA_AGE_MS,
        cython_optimizations=True,
        key_serializer="raw",
        stream_buffer_maxsize=_BUFFERED_RECORDS,
        # Waiting for every unacked record has no deadline; the job drains with one.
        stream_wait_empty=False,
        table_standby_replicas=0,
        topic_allow_declare=False,
        topic_disable_leader=True,
        value_serializer="raw",
        web_enabled=False,
        worker_redirect_stdouts=False,
    )
    app.positions = positions
    app.on_commit_failed = on_commit_failed
    app.transport = JobTransport(app.conf.broker_consumer, app, loop=loop)
    return app
