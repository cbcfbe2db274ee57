"""Taking events out: a decision, then their rows, then the sums over them; or letting them in.

The promise: whatever instant it dies at, running it again finishes the same work, and in the end
every window is the sum of its raw rows. The decision comes first, so that nothing that is read
meanwhile brings an event back; a row is written down before it goes, so that it always answers for
its place in the log; sums get what they differ by, as in a repair.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from tokentide_jobs.core.batch.ledger import LogPartition
from tokentide_jobs.counted import counted
from tokentide_jobs.errors import ConfigError, RetriableSinkError, WrongData
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.tasks.repair.lost_rows import LostRowsOfLog, RecordSource
from tokentide_jobs.tasks.repair.records import FinishedBatch, RepairRecords
from tokentide_jobs.tasks.repair.repair import Correction, Repair
from tokentide_jobs.tasks.void.void_tables import Decision, Row, VoidStore

__all__ = ["Void", "Voided"]

_UNFINISHED_S: Final = 30.0
"""How long a batch may take to be finished, before its rows are left alone."""
_PAUSE_S: Final = 0.5
_KNOWN_AFTER_S: Final = 2.0
"""Workers ask for decisions every second: so long after one, they usually know it.

No promise: a look may fail or be slow. A batch that is begun later without the decision may bring
an event back; `verify` names the event then, and the same command takes the row out.
"""


@dataclass(frozen=True, slots=True)
class Voided:
    """What one run did, or of a dry run would do.

    Attributes:
        revision: The decision it made; 0: none was needed.
        rows: Rows that went, or came back.
        earlier: What was decided before, by event: nothing was decided on these.
        corrections: Of windows, rollups and sums by subject.
        may_return: Batches begun before the decision and not finished: the same command takes out
            what they still store.
    """

    revision: int
    rows: Sequence[Row]
    earlier: dict[str, Decision]
    corrections: Sequence[Correction] = ()
    may_return: Sequence[str] = ()


@dataclass
class Void:
    """Takes events out of one database, or lets them in again.

    Attributes:
        store: The database; give it a long timeout.
        worker: `host:pid`, for the records of repair.
        decided_by: Account and host, for the decisions.
        run_id: Names this invocation.
        token_window_us: As for `Repair`.
        dry_run: Look and report; write nothing.
        progress: Called with every step before it is taken.
        unfinished_s: How long to wait for batches that hold such rows to be finished.
        known_after_s: How long workers take to know a decision.
    """

    store: ClickHouse
    worker: str
    decided_by: str
    run_id: str
    token_window_us: int
    dry_run: bool = False
    progress: Callable[[str], None] = lambda _step: None
    unfinished_s: float = _UNFINISHED_S
    known_after_s: float = _KNOWN_AFTER_S
    _tables: VoidStore = field(init=False)

    def __post_init__(self) -> None:
        self._tables = VoidStore(self.store, self.decided_by, self.run_id)
        self._repair = Repair(
            self.store, self.worker, self.token_window_us,
            dry_run=self.dry_run, progress=self.progress,
        )  # fmt: skip

    def take_out(self, ids: Sequence[str], reason: str) -> Voided:
        """Take all rows of some events out, and keep the events out.

        Args:
            ids: UUIDs in small letters.
            reason: Why, for the record.

        Raises:
            ConfigError: An event has no row; nothing was begun.
            WrongData: Windows cannot follow their raw rows; nothing was begun.
            RetriableSinkError: Run it again: it goes on where it stopped.
        """
        self.progress("look for the rows")
        decisions = self._tables.decisions(ids)
        rows = self._tables.rows(ids) if self.dry_run else self._finished_rows(ids)
        out = {event_id: found for event_id, found in decisions.items() if found.is_out}
        self._refuse_unknown(set(ids) - {row.event_id for row in rows} - set(out))
        # A run that died after a row went has its time from what is written down alone.
        gone = self._tables.recorded(ids)
        self._repair.check_around({row.started_at_us for row in (*rows, *gone)})
        new = {row.event_id: row.tenant for row in rows if row.event_id not in out}
        if self.dry_run:
            return Voided(0, rows, out)
        revision = 0
        if new:
            self.progress("decide")
            revision = self._tables.decide(new, reason, is_void=True)
        held = self._held(ids)
        self._take(rows, held)
        if new:
            self.progress("wait until every worker knows")
            time.sleep(self.known_after_s)
        may_return = self._wait_for_older_batches(max(held.values()))
        # A worker may still write rows of an unfinished batch again: they stay until it is done.
        late = [
            row for row in self._tables.rows(ids) if self._tables.finished_end(row.log) > row.offset
        ]
        if late:
            self._repair.check_around({row.started_at_us for row in late})
            # Asked after the rows were read: rows that an `--undo` brought back are not taken.
            self._take(late, self._held(ids))
        # An `--undo` that decided while rows went may not have seen all of them: it must run again.
        self._held(ids)
        moments = {row.started_at_us for row in self._tables.recorded(ids)}
        corrections = list(self._repair.follow(moments))
        return Voided(revision, [*rows, *late], out, corrections, may_return)

    def _held(self, ids: Sequence[str]) -> dict[str, int]:
        """Return the decision on each event: where two runs decide at once the first one holds."""
        found = self._tables.decisions(ids)
        for event_id, decision in sorted(found.items()):
            if not decision.is_out:
                raise RetriableSinkError(
                    f"{event_id}: {decision.decided_by} let it in again at this moment "
                    f"({decision.reason}), and that holds. Run `tokentide void --undo` on it "
                    "again: it brings back what this run may have taken out meanwhile"
                )
        return {event_id: decision.revision for event_id, decision in found.items()}

    def _take(self, rows: Sequence[Row], held: Mapping[str, int]) -> None:
        """Write rows down under the decisions that hold, then delete them."""
        recorded = {row.place for row in self._tables.recorded(sorted(held))}
        groups: dict[tuple[str, int], list[Row]] = defaultdict(list)
        for row in rows:
            groups[row.raw_table, held[row.event_id]].append(row)
        for (table, decided), some in sorted(groups.items()):
            if unrecorded := [row for row in some if row.place not in recorded]:
                self.progress(f"record rows of {table}")
                self._tables.record(table, decided, unrecorded)
            self.progress(f"delete rows of {table}")
            self._tables.delete(table, some)

    def _wait_for_older_batches(self, revision: int) -> list[str]:
        """Wait until no batch may still be written without a decision; return those that may."""
        give_up_at = time.monotonic() + self.unfinished_s
        while batches := self._tables.older_batches(revision):
            if time.monotonic() > give_up_at:
                break
            self.progress(f"wait for {counted(len(batches), 'batch', 'batches')} begun before")
            time.sleep(_PAUSE_S)
        return batches

    def let_in(self, ids: Sequence[str], reason: str, log: RecordSource) -> Voided:
        """Let events in again that were taken out, and make their rows again from the log.

        Rows come back at the price that they were first stored at. What was refused since as a dead
        letter is not sent again: `tokentide dlq replay`.

        Args:
            ids: UUIDs in small letters.
            reason: Why, for the record.
            log: Where the records are.

        Raises:
            ConfigError: An event was never taken out; nothing was begun.
            WrongData: Kafka does not have the records any more, or a repricing is unfinished;
                nothing was begun. Or other batches lost rows around the same times: the rows are
                in, and windows are left as they are until those rows are back and it runs again.
            RetriableSinkError: Run it again: it goes on where it stopped. Or one of the events was
                taken out again meanwhile, and that holds.
        """
        self.progress("look for what was taken out")
        decisions = self._tables.decisions(ids)
        if unknown := sorted(set(ids) - set(decisions)):
            raise ConfigError(
                f"{', '.join(unknown)}: never taken out, so it cannot be let in again"
            )
        rows = self._tables.ever_recorded(ids)
        records = RepairRecords(self.store, self.worker)
        records.check()
        lost = LostRowsOfLog(self.store, records, log, dry_run=self.dry_run)
        self.progress("read their records from Kafka")
        batches = [(batch, lost.outcome(batch)) for batch in self._tables.batches(rows)]
        self._refuse_expired(batch for batch, _made in batches)
        still_out = {one: found for one, found in decisions.items() if found.is_out}
        earlier = {one: found for one, found in decisions.items() if not found.is_out}
        if self.dry_run:
            return Voided(0, rows, earlier)
        revision = self._decide_in(still_out, rows, reason) if still_out else 0
        # Rows that went since they were looked for are missing in these batches.
        again = self._tables.ever_recorded(ids)
        if {row.place for row in again} != {row.place for row in rows}:
            raise RetriableSinkError(
                "other rows of these events were taken out at this moment: run this again, "
                "it brings them back, too"
            )
        for batch, outcome in batches:
            self.progress(f"restore {batch}")
            self._check_let_in(ids)
            lost.restore(batch, outcome)
        moments = {row.started_at_us for row in rows}
        # Not earlier: since the decision, the batches of these very rows lacked them.
        self._repair.check_around(moments)
        corrections = list(self._repair.follow(moments))
        # Rows of the last batch may have come back over a decision that was made meanwhile.
        self._check_let_in(ids)
        return Voided(revision, rows, earlier, corrections)

    def _decide_in(self, ids: Iterable[str], rows: Iterable[Row], reason: str) -> int:
        """Record that events are in again; return the revision of these decisions."""
        tenants = dict.fromkeys(ids, "")
        tenants |= {row.event_id: row.tenant for row in rows if row.event_id in tenants}
        self.progress("decide")
        return self._tables.decide(tenants, reason, is_void=False)

    def _check_let_in(self, ids: Sequence[str]) -> None:
        """Refuse to go on once an event is out again: that decision does not see all its rows."""
        for event_id, decision in sorted(self._tables.decisions(ids).items()):
            if decision.is_out:
                raise RetriableSinkError(
                    f"{event_id}: {decision.decided_by} took it out again at this moment "
                    f"({decision.reason}), and that holds. Run `tokentide void` on it again: it "
                    "takes out what this run may have brought back meanwhile. Then run this again "
                    "for all other events"
                )

    def _refuse_expired(self, batches: Iterable[FinishedBatch]) -> None:
        kept_from_us = self._repair.kept_from_us()
        if old := [batch for batch in batches if batch.first_us < kept_from_us]:
            raise WrongData(
                f"{old[0]}: it has events of a time of which retention may have taken rows, and "
                "they would come back, too: restore the row from a backup"
            )

    def _refuse_unknown(self, ids: set[str]) -> None:
        if ids:
            raise ConfigError(
                f"no row of {', '.join(sorted(ids))} in {self.store.database}: it may be a dead "
                "letter, not ingested yet, or older than the retention. Nothing was taken out"
            )

    def _finished_rows(self, ids: Sequence[str]) -> list[Row]:
        """Return the rows of events once no worker may still write any of their batches again."""
        give_up_at = time.monotonic() + self.unfinished_s
        rows = self._tables.rows(ids)
        while True:
            self._wait_for_batches(rows, give_up_at)
            # What was written while we waited is only seen by looking again.
            again = self._tables.rows(ids)
            if {row.place for row in again} == {row.place for row in rows}:
                return again
            rows = again

    def _wait_for_batches(self, rows: Sequence[Row], give_up_at: float) -> None:
        """Wait until no row is of a batch that a worker may still write again."""
        ends: dict[LogPartition, int] = {}
        for row in rows:
            ends[row.log] = max(ends.get(row.log, 0), row.offset + 1)
        while late := [log for log in ends if self._tables.finished_end(log) < ends[log]]:
            if time.monotonic() > give_up_at:
                raise RetriableSinkError(
                    f"{late[0].topic}/{late[0].partition}: the batch with offset "
                    f"{ends[late[0]] - 1} is not finished. This run took nothing out: let a worker "
                    "finish it, then try again"
                )
            self.progress("wait for a batch to be finished")
            time.sleep(_PAUSE_S)
