"""What the detect job reports as merged, against the ledger: batch for batch the same sums.

The job declares offsets of each source, with each of its snapshots. The ledger says what the
batches between them hold, and rows and windows are compared with the ledger besides. Both are sums
of the prices at which batches were stored: a repricing changes rows and windows, and neither.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from tokentide_jobs.core.merge.balance import Consumed
from tokentide_jobs.core.merge.merged_sums import NO_SUMS, MergedSums
from tokentide_jobs.core.money import usd
from tokentide_jobs.core.verify.facts import Facts
from tokentide_jobs.core.verify.fault import Fault

__all__ = ["Detection", "DetectionVerdict", "compare_detection"]

DetectionVerdict = Literal["not_asked", "no_job", "not_said", "nothing", "equal", "differs"]
"""Not in scope; no snapshot; a snapshot that does not say it; no event yet; compared."""


@dataclass(frozen=True, slots=True)
class Detection:
    """The answer of `compare_detection`.

    Attributes:
        verdict: What came of it.
        consumed: What the job reports; None: nothing.
        taken_at_us: Clock of the job when it reported so.
        ledger: What the ledger has of the same batches.
    """

    verdict: DetectionVerdict
    consumed: Consumed | None = None
    taken_at_us: int = 0
    ledger: MergedSums = NO_SUMS

    def faults(self) -> list[Fault]:
        """Return the fault, where there is one."""
        if self.verdict != "differs" or self.consumed is None:
            return []
        merged = self.consumed.sums
        where = f"{len(self.consumed.ranges)} partitions up to the snapshot of the detect job"
        return [
            Fault(
                "detection",
                where,
                f"{_in_words(self.ledger)} as in the ledger",
                f"{_in_words(merged)} in what it merged",
                abs(merged.events - self.ledger.events),
            )
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form; money as decimal strings, exact."""
        if self.consumed is None:
            return {"verdict": self.verdict}
        merged = self.consumed.sums
        return {
            "verdict": self.verdict,
            "since_us": self.consumed.since_us,
            "snapshot_at_us": self.taken_at_us,
            "events": merged.events,
            "cost_usd": usd(merged.cost_pico_usd),
            "ledger_events": self.ledger.events,
            "ledger_cost_usd": usd(self.ledger.cost_pico_usd),
            "unjudged_events": self.consumed.unjudged_events,
            "ranges": [
                {
                    "log_id": source.log_id,
                    "topic": source.topic,
                    "partition": source.partition,
                    "begin": begin,
                    "end": end,
                }
                for source, (begin, end) in sorted(self.consumed.ranges.items())
            ],
        }


def compare_detection(facts: Facts) -> Detection:
    """Compare what the job merged with the ledger, whose batches were read after its snapshot."""
    consumed, taken_at_us = facts.consumed, facts.consumed_at_us
    if taken_at_us is None:
        return Detection("not_asked")
    if consumed is None:
        return Detection("not_said" if taken_at_us else "no_job", None, taken_at_us)
    ledger = NO_SUMS
    for batch in facts.batches:
        begin, end = consumed.ranges.get(batch.log, (0, 0))
        if begin <= batch.start < end:
            ledger = ledger.plus(MergedSums(batch.accepted, batch.cost_pico_usd))
    if ledger != consumed.sums:
        return Detection("differs", consumed, taken_at_us, ledger)
    verdict: DetectionVerdict = "equal" if ledger.events else "nothing"
    return Detection(verdict, consumed, taken_at_us, ledger)


def _in_words(sums: MergedSums) -> str:
    return f"{sums.events} events, {usd(sums.cost_pico_usd)} USD"
