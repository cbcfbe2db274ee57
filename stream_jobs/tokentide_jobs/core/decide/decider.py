"""The state behind every decision: records of the delta topic in, decisions out.

What comes out depends on the records alone, in their order, and on the rules: it has no clock of
its own. A state that was saved and restored goes on bit for bit as the one that never stopped.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

import polars as pl

from tokentide_jobs.core.batch.ledger import LogPartition
from tokentide_jobs.core.batch.progress_mark import PROGRESS_SCHEMA, ProgressMark
from tokentide_jobs.core.budget.budget import Budget
from tokentide_jobs.core.change.change_rows import CHANGES_SCHEMA, changes_of
from tokentide_jobs.core.change.recent_changes import RecentChanges
from tokentide_jobs.core.decide.budget_book import SUBJECT_SPEND, BudgetBook
from tokentide_jobs.core.decide.decisions import Ahead, Decisions, RunVerdict, verdict_id
from tokentide_jobs.core.decide.detect_rules import DetectRules
from tokentide_jobs.core.decide.flagged_runs import FlaggedRuns
from tokentide_jobs.core.decide.source_states import SourceStates
from tokentide_jobs.core.decide.watched import Watched
from tokentide_jobs.core.guard import snapshot as guard_snapshot
from tokentide_jobs.core.guard.guard import RunGuard
from tokentide_jobs.core.guard.step_rows import ADDED, NO_VALUE, STEPS_SCHEMA, steps_of
from tokentide_jobs.core.guard.steps import Step
from tokentide_jobs.core.guard.verdict import Verdict
from tokentide_jobs.core.merge.balance import Balance, Consumed
from tokentide_jobs.core.merge.completeness import AHEAD_US, Progress
from tokentide_jobs.core.merge.delta_record import DeltaRecord, Origin, UnreadableDelta, origin_of
from tokentide_jobs.core.merge.deltas import read_rows
from tokentide_jobs.core.merge.merged_sums import sums_of
from tokentide_jobs.core.merge.open_windows import WANTED
from tokentide_jobs.core.merge.packing import pack, unpack
from tokentide_jobs.core.merge.recorded_time import RecordedProgress
from tokentide_jobs.core.merge.seen import SeenParts
from tokentide_jobs.core.merge.window_merge import WindowMerge
from tokentide_jobs.core.window.subjects import OTHER

WINDOWS_SCHEMA: Final = "windows.v1"
SUBJECTS_SCHEMA: Final = "subjects.v1"
STEPS_TAG: Final = "steps.v1"
CHANGES_TAG: Final = "changes.v1"
"""The value of the header `schema` of deltas, steps and changes."""

__all__ = ["ALWAYS", "STATE_VERSION", "Decider"]

ALWAYS: Final = 1 << 62
"""A present that no clock is ahead of."""
STATE_VERSION: Final = 2
"""Of the layout of a saved state; another one is learned again."""
_HISTORY_US: Final = 900_000_000
"""A step that is so much older than the stream is history: a backfill, or a replay."""
_REPORT_US: Final = 1_000_000
"""States of runs and budgets that go on are reported this often: services know of a call within a
few seconds, also when it reaches no threshold."""


class Decider:
    """One installation's detectors, guard and budgets.

    Args:
        rules: What is decided by.
        budgets: Those of the installation.

    Attributes:
        seen: Which deltas were taken.
        watched: Detectors of windows, by their length.
        changes: What people changed in the last hours.
        balance: Which batches the windows hold.
        flagged: Runs that broke a rule and are not over.
        sources: How far ingest has come, by what was read since this was made.
        unreadable: Records that were passed over.
        has_gap: Deltas were missed before this state, a level with an open alarm left the rules, or
            a key with one was forgotten: open alerts may be about what it does not know. The
            session resets this when it has caught up and ended those.
    """

    def __init__(self, rules: DetectRules, budgets: Sequence[Budget]) -> None:
        self.seen = SeenParts()
        self.progress = _progress(rules)
        self.merge = WindowMerge(
            rules.levels,
            rules.parameters.window_s * 1_000_000,
            rules.longest_call_us,
            rules.fast_levels,
        )
        self.watched = Watched(rules)
        self.guard = RunGuard(rules.guard)
        self.budgets = BudgetBook()
        self.budgets.replace(budgets)
        self.changes = RecentChanges()
        self.balance = Balance()
        self.sources = SourceStates()
        self.unreadable = 0
        self.has_gap = False
        self._time = rules.time
        self.flagged = FlaggedRuns()
        self._frames: list[pl.DataFrame] = []
        self._present_us = ALWAYS

    def set_rules(self, rules: DetectRules) -> None:
        """Go on under other rules; what was learned stays, but for levels that were taken out."""
        self.progress.settle_us = rules.settle_us
        self._add_windows()
        self.merge.levels, self.merge.fast_levels = rules.levels, rules.fast_levels
        self.merge.longest_call_us = rules.longest_call_us
        self.has_gap |= self.watched.set_rules(rules)
        self._restore_guard(guard_snapshot.to_bytes(self.guard), rules)

    def standing(self) -> Decisions:
        """Return every flagged run and every budget as they stand; nothing changes by it."""
        now_us = self.progress.now_us
        if not now_us:
            return Decisions()
        return Decisions(
            runs=self.flagged.standing(self.guard, now_us),
            budgets=self.budgets.standing(now_us),
        )

    def begin_balance(self, begins: Mapping[LogPartition, int]) -> None:
        """Declare which batches are compared from here on: those from these offsets on."""
        self._add_windows()
        self.balance.begin(begins, self.merge.held, self.merge.unjudged.events)

    def consumed(self) -> Consumed | None:
        """Return what the windows hold of the batches that are compared; None: of none."""
        self._add_windows()
        return self.balance.consumed(self.merge.held, self.merge.unjudged.events)

    def take(self, records: Iterable[DeltaRecord], present_us: int = ALWAYS) -> Decisions:
        """Take records in their order and return what they gave rise to.

        Args:
            records: Those that come next.
            present_us: By the clock of the database. A record of a clock that is far ahead of it is
                taken for one of now, and no time that a mark has of such a clock is believed.
                Recorded time is that of events: there everything is.
        """
        decisions = Decisions()
        self._present_us = present_us if self._time == "clock" else ALWAYS
        for came in records:
            record = came
            if record.stamp_us > self._present_us + AHEAD_US:
                record = replace(came, stamp_us=self._present_us)
            self.progress.clock(record.stamp_us)
            try:
                self._take(record, decisions)
            except UnreadableDelta as exc:
                self.unreadable += 1
                place = f"partition {record.partition}, offset {record.offset}"
                decisions.unreadable.append(f"{place}: {exc}")
        return decisions

    def to_bytes(self) -> bytes:
        """Return the whole state."""
        self._add_windows()
        head = {
            "version": STATE_VERSION,
            "time": self._time,
            "seen": self.seen.to_rows(),
            "progress": self.progress.to_rows(),
            "unreadable": self.unreadable,
            "has_gap": self.has_gap,
            "flagged": self.flagged.to_rows(),
            "budgets": self.budgets.to_rows(),
            "money_version": self.budgets.money_version,
            "changes": self.changes.to_rows(),
            "balance": self.balance.to_rows(),
        }
        parts = {
            "head": json.dumps(head, separators=(",", ":")).encode(),
            "merge": self.merge.to_bytes(),
            "guard": guard_snapshot.to_bytes(self.guard),
            **self.watched.to_parts(),
        }
        return pack(parts)

    @classmethod
    def from_bytes(cls, data: bytes, rules: DetectRules, budgets: Sequence[Budget]) -> Decider:
        """Return the decider whose state this is, under these rules and budgets.

        Raises:
            ValueError: The bytes are of another version, or not whole.
        """
        try:
            return cls._restored(data, rules, budgets)
        except ValueError:
            raise
        except (Exception, pl.exceptions.PanicException) as exc:
            # Whatever a damaged part raises: a worker begins without it, and does not end of it.
            raise ValueError(f"a state with a damaged part: {type(exc).__name__}: {exc}") from exc

    @classmethod
    def _restored(cls, data: bytes, rules: DetectRules, budgets: Sequence[Budget]) -> Decider:
        parts = unpack(data)
        head = json.loads(parts["head"])
        if head["version"] != STATE_VERSION:
            raise ValueError(f"a state of version {head['version']}, expected {STATE_VERSION}")
        if head.get("time", "clock") != rules.time:
            raise ValueError(f"a state by {head['time']} time, expected {rules.time}")
        decider = cls(rules, budgets)
        decider.seen = SeenParts.from_rows(head["seen"])
        decider.progress.restore(head["progress"])
        decider.unreadable = head["unreadable"]
        decider.has_gap = head.get("has_gap", False)
        decider.flagged = FlaggedRuns.from_rows(head["flagged"])
        decider.budgets.restore(head["budgets"])
        decider.budgets.money_version = head.get("money_version", "")
        decider.changes = RecentChanges.from_rows(head.get("changes", []))
        decider.balance.restore(head.get("balance", []))
        decider.merge.restore(parts["merge"])
        decider._restore_guard(parts["guard"], rules)
        decider.watched = Watched.from_parts(parts, rules)
        decider.has_gap |= decider.watched.set_rules(rules)
        return decider

    def _take(self, record: DeltaRecord, decisions: Decisions) -> None:
        origin = origin_of(record.headers)
        if origin.schema == PROGRESS_SCHEMA:
            self._mark(record, origin, decisions)
            return
        takes = {
            WINDOWS_SCHEMA: self._windows,
            SUBJECTS_SCHEMA: self._subjects,
            STEPS_TAG: self._steps,
            CHANGES_TAG: self._note_changes,
        }.get(origin.schema)
        if takes is not None and self.seen.take(record.partition, origin):
            takes(record, origin, decisions)

    def _windows(self, record: DeltaRecord, origin: Origin, decisions: Decisions) -> None:
        rows = read_rows(record.value, WANTED)
        self.balance.take(origin, sums_of(rows))
        self._frames.append(rows)
        self._count(origin, rows, decisions)

    def _subjects(self, record: DeltaRecord, origin: Origin, decisions: Decisions) -> None:
        if any(one.spend.budget.scope.subject for one in self.budgets.counted.values()):
            self._count(origin, read_rows(record.value, SUBJECT_SPEND), decisions)

    def _count(self, origin: Origin, rows: pl.DataFrame, decisions: Decisions) -> None:
        now_us = self.progress.now_us
        notices = self.budgets.add(origin, rows, now_us)
        if notices:
            decisions.notices += notices
            decisions.budgets += self.budgets.reported(now_us, 0)

    def _steps(self, record: DeltaRecord, _origin: Origin, decisions: Decisions) -> None:
        rows = read_rows(record.value, STEPS_SCHEMA, NO_VALUE, ADDED).to_arrow()
        # By a clock that is ahead, all later steps of its run would be of the past and count less.
        steps = (
            step._replace(at_us=min(step.at_us, record.stamp_us))
            for step in steps_of(rows)
            if step.key.run not in ("", OTHER)
        )
        now_us = self.progress.now_us
        for verdict in self._observed(steps):
            is_history = now_us - verdict.at_us > _HISTORY_US
            seen_us = self.progress.stamp_us
            name, changes = verdict_id(verdict), self.changes.all()
            decisions.verdicts.append(RunVerdict(name, verdict, is_history, seen_us, changes))
            if not is_history:
                decisions.runs.append(self.flagged.flag(verdict, self.guard, now_us))

    def _note_changes(self, record: DeltaRecord, _origin: Origin, _decisions: Decisions) -> None:
        rows = read_rows(record.value, CHANGES_SCHEMA)
        self.changes.add(changes_of(rows), self.progress.now_us)

    def _observed(self, steps: Iterable[Step]) -> list[Verdict]:
        if self._time == "clock":
            return self.guard.observe(steps)
        found = []
        for step in steps:
            # Between two recorded steps of one batch hours may pass, in which runs end.
            self.guard.finish_idle(step.at_us)
            found += self.guard.observe((step,))
        return found

    def _mark(self, record: DeltaRecord, origin: Origin, decisions: Decisions) -> None:
        try:
            mark = ProgressMark.from_json(origin.source, record.value)
        except ValueError as exc:
            raise UnreadableDelta(str(exc)) from None
        newest_us = max(mark.at_us, mark.arrived_us or 0)
        is_ahead = newest_us > self._present_us + AHEAD_US
        if is_ahead:
            decisions.ahead.append(Ahead(origin.source, newest_us - self._present_us))
        else:
            self.sources.note(mark)
        if not self.seen.settle(origin.source, record.partition, mark.position):
            return  # of a time whose deltas are passed over: it must not look like no traffic
        # By what was known before this mark: a snapshot before it would have added them, too.
        self._add_windows()
        floors = self.seen.floors(origin.source, self.balance.partitions)
        self.balance.settle(origin.source, floors, self.progress.now_us)
        if self.balance.is_due(self.progress.now_us):
            unjudged = self.merge.unjudged.events
            self.balance.begin_next(self.merge.held, unjudged, self.progress.now_us)
        if not is_ahead:
            self.progress.note(record.partition, mark)
        for window in self.merge.close(self.progress):
            decisions.windows.append(self.watched.judge(window, self.changes.all()))
        # After days without a window, keys are forgotten before their alarms can end.
        self.has_gap |= self.watched.take_lost_alarms()
        now_us = self.progress.now_us
        if not now_us:
            return  # recorded time has not begun
        reached_us = self.progress.complete_us()
        self.guard.finish_idle(reached_us if reached_us >= 0 else now_us)
        decisions.notices += self.budgets.advance(now_us)
        decisions.budgets += self.budgets.reported(now_us, _REPORT_US)
        decisions.runs += self.flagged.reported(self.guard, now_us, _REPORT_US)

    def _add_windows(self) -> None:
        """Add the rows of several records at once: each addition has a price of its own."""
        if self._frames:
            self.merge.add(pl.concat(self._frames), self.progress.complete_us())
            self._frames.clear()

    def _restore_guard(self, data: bytes, rules: DetectRules) -> None:
        guard = guard_snapshot.from_bytes(data, rules.guard)
        self.guard = RunGuard(rules.guard) if guard is None else guard


def _progress(rules: DetectRules) -> Progress:
    kind = RecordedProgress if rules.time == "recorded" else Progress
    return kind(rules.settle_us)
