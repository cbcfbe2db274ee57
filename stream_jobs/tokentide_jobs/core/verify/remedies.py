"""What to do about what `tokentide verify` finds: for each kind of fault a command, or words.

Raw rows are what everything else is made from, so they are mended first. A command is named only
where it can mend: rows come back from Kafka only while Kafka has their records.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from tokentide_jobs.core.tables import (
    DAY_US,
    DEAD_LETTERS,
    DETECTOR_STATE,
    INTENTS,
    POSITIONS,
    ROLLUPS,
    SUBJECTS,
    WINDOWS,
)
from tokentide_jobs.core.verify.facts import Batch, Facts, StoredCounts
from tokentide_jobs.core.verify.fault import Fault, FaultKind
from tokentide_jobs.counted import counted

__all__ = ["Remedy", "has_other_money", "remedies_for"]

_ROW_FAULTS: Final = frozenset({"lost", "duplicated", "raw_and_dead", "surplus", "unclaimed"})
_SUM_FAULTS: Final[tuple[FaultKind, ...]] = (
    "window_events", "window_tokens", "window_money", "rollup", "subjects",
)  # fmt: skip
_LEDGER_FAULTS: Final[tuple[FaultKind, ...]] = (
    "ledger_count", "ledger_gap", "ledger_overlap", "ledger_intent",
)  # fmt: skip
_PAGE: Final = "docs/operations.md, Doubled, changed and foreign rows"
_NAMED: Final = 5
"""Events that a command names."""
_NOTHING: Final = StoredCounts(0, 0, 0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Remedy:
    """What mends some kinds of faults.

    Attributes:
        kinds: Of the faults that it is for.
        words: What to do, for people.
        command: A command that does it; empty where there is none.
    """

    kinds: tuple[FaultKind, ...]
    words: str
    command: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"kinds": list(self.kinds), "words": self.words, "command": self.command}


def remedies_for(facts: Facts, faults: Iterable[Fault]) -> Iterator[Remedy]:
    """Yield what mends the faults that were found, in the order in which it is to be done.

    Args:
        facts: What was compared.
        faults: What is wrong.
    """
    kinds = {fault.kind for fault in faults}
    yield from _of_logs_and_ledger(kinds)
    if kinds & _ROW_FAULTS:
        yield from _of_rows(facts, kinds)
    elif "read_twice" in kinds:
        yield Remedy(
            ("read_twice",),
            f"delete the rows of one of the two log ids, then repair the sums ({_PAGE})",
            "tokentide repair",
        )
    else:
        yield from _of_money_and_sums(facts, kinds)
    if "voided" in kinds:
        ids = sorted({*facts.unfinished_voids, *facts.returned_voids})
        more = " …" if len(ids) > _NAMED else ""
        yield Remedy(
            ("voided",),
            "take these events out again: it goes on where it stopped",
            f"tokentide void --reason again {' '.join(ids[:_NAMED])}{more}",
        )
    if "detection" in kinds:
        yield Remedy(
            ("detection",),
            "look for delta_unreadable in the log of the detect worker. To begin "
            "again from what is stored, stop it, empty the table "
            f"{DETECTOR_STATE}, and start it (docs/detect.md, Whether it merged everything)",
        )
    if "pending" in kinds:
        yield Remedy(("pending",), "see which worker is behind, or stopped", "tokentide status")


def _of_logs_and_ledger(kinds: set[FaultKind]) -> Iterator[Remedy]:
    if "ledger_ahead_of_log" in kinds:
        yield Remedy(
            ("ledger_ahead_of_log",),
            "find out whether the topic was made again or records were taken back; a new word in "
            "TOKENTIDE_LOG_ID begins a new log (docs/operations.md)",
        )
    if wrong := tuple(kind for kind in _LEDGER_FAULTS if kind in kinds):
        yield Remedy(
            wrong,
            "no command mends the ledger: keep this report, and restore the tables "
            f"{POSITIONS} and {INTENTS} from a backup",
        )


def _of_rows(facts: Facts, kinds: set[FaultKind]) -> Iterator[Remedy]:
    alive = [batch for batch in facts.batches if not batch.has_expired]
    doubled = [batch for batch in alive if _stored(batch, facts).raw_rows > _raw(batch, facts)]
    if "duplicated" in kinds and doubled:
        yield Remedy(
            ("duplicated",),
            f"remove the duplicate rows of {counted(len(doubled), 'batch', 'batches')} "
            f"({_PAGE}), then let the sums follow",
            f"tokentide repair {_days(doubled)}",
        )
    lacking = [batch for batch in alive if _raw(batch, facts) < batch.accepted]
    held = [batch for batch in lacking if _is_held(batch, facts)]
    if held:
        yield Remedy(
            ("lost",),
            f"make the lost rows of {counted(len(held), 'batch', 'batches')} again from Kafka; "
            "windows, rollups and sums by subject follow them",
            f"tokentide repair --from-log {_days(held)}",
        )
    if gone := len(lacking) - len(held):
        yield Remedy(
            ("lost",),
            f"restore the raw rows of {counted(gone, 'batch', 'batches')} from a backup: Kafka "
            "does not have their records any more",
        )
    if any(_stored(batch, facts).dead_distinct < batch.dead_letters for batch in alive):
        yield Remedy(("lost",), f"restore the lost rows of {DEAD_LETTERS} from a backup")
    if any(
        _stored(batch, facts).dead_rows > _stored(batch, facts).dead_distinct for batch in alive
    ):
        yield Remedy(
            ("duplicated",),
            f"remove the duplicate rows of the dead letters ({_PAGE})",
        )
    if unexpected := tuple(
        kind for kind in ("raw_and_dead", "surplus", "unclaimed") if kind in kinds
    ):
        yield Remedy(
            unexpected,
            f"find out who wrote these rows: the pipeline did not. Delete them ({_PAGE}), then "
            "verify again",
        )


def _of_money_and_sums(facts: Facts, kinds: set[FaultKind]) -> Iterator[Remedy]:
    if "batch_money" in kinds:
        wrong = [batch for batch in facts.batches if has_other_money(batch, _stored(batch, facts))]
        held = [batch for batch in wrong if _is_held(batch, facts)]
        if held:
            yield Remedy(
                ("batch_money",),
                f"raw rows of {counted(len(held), 'batch', 'batches')} were changed after they "
                f"were stored: delete them ({_PAGE}), then make them again from Kafka",
                f"tokentide repair --from-log {_days(held)}",
            )
        if gone := len(wrong) - len(held):
            yield Remedy(
                ("batch_money",),
                f"raw rows of {counted(gone, 'batch', 'batches')} were changed after they were "
                "stored: restore them from a backup, Kafka does not have their records any more",
            )
    differing = tuple(kind for kind in _SUM_FAULTS if kind in kinds)
    if differing and "batch_money" not in kinds:
        starts_us = [found.start_s * 1_000_000 for found in facts.windows.differences]
        # Sums by subject are compared by kind: `subjects_1h of kind run`.
        tables = {found.table.partition(" ")[0] for found in facts.windows.differences}
        yield Remedy(
            differing,
            "make the sums those of their raw rows",
            f"tokentide repair {_table(tables)}{_day_range(min(starts_us), max(starts_us))}",
        )
    if "sums" in kinds:
        yield Remedy(("sums",), "this cannot be: verify again, and report it with --json")


def has_other_money(batch: Batch, stored: StoredCounts) -> bool:
    """Tell whether all rows of a batch are there at their first price, with another sum of it."""
    is_comparable = not batch.has_expired and stored.raw_rows == batch.accepted
    is_changed = stored.cost_pico_usd != batch.cost_pico_usd
    return is_comparable and not stored.repriced and is_changed


def _table(tables: set[str]) -> str:
    """Name the finest table that differs: the coarser ones are made from it."""
    if tables == {SUBJECTS}:
        return f"--table {SUBJECTS} "
    first = next((table for table in (WINDOWS, *ROLLUPS) if table in tables), WINDOWS)
    return f"--table {first} " if SUBJECTS not in tables else ""


def _raw(batch: Batch, facts: Facts) -> int:
    return _stored(batch, facts).raw_distinct


def _stored(batch: Batch, facts: Facts) -> StoredCounts:
    return facts.stored.get((batch.log, batch.start), _NOTHING)


def _is_held(batch: Batch, facts: Facts) -> bool:
    """Tell whether Kafka still has the records of a batch."""
    log = facts.logs.get(batch.log)
    return log is not None and log.start <= batch.start and batch.end <= log.end


def _days(batches: Sequence[Batch]) -> str:
    return _day_range(
        min(batch.first_us for batch in batches), max(batch.last_us for batch in batches)
    )


def _day_range(first_us: int, last_us: int) -> str:
    """Return the options for whole UTC days around two times."""
    days_us = (first_us // DAY_US * DAY_US, last_us // DAY_US * DAY_US + DAY_US)
    begin, end = (datetime.fromtimestamp(day_us / 1e6, UTC).date() for day_us in days_us)
    return f"--from {begin} --to {end}"
