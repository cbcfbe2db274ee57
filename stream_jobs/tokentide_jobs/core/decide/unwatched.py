"""The end of alerts that nothing else would end: what they are about is not watched any more.

What is open is held beside what is watched, so it does not matter how a budget or a run was lost:
by an edit of a file, by a pause of the stream over several periods, or with the detector's state.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from tokentide_jobs.core.alert.alert import Alert
from tokentide_jobs.core.alert.finding import Finding
from tokentide_jobs.core.budget.budget import Budget
from tokentide_jobs.core.decide.decider import Decider
from tokentide_jobs.core.guard.steps import RunKey
from tokentide_jobs.core.slo.slo import Slo

__all__ = ["lost", "run_of", "unwatched"]

_LOST: Final = "it is watched no more, or what was known of it is lost"


def unwatched(
    alerts: Iterable[Alert], budgets: Sequence[Budget], slos: Sequence[Slo], now_us: int
) -> Iterator[Finding]:
    """Yield the end of alerts about budgets and SLOs that are no more, or periods that are over.

    Args:
        alerts: Of any kind.
        budgets: Those in force.
        slos: Likewise.
        now_us: Time of the stream.
    """
    by_revision = {budget.revision: budget for budget in budgets}
    watched = {frozenset((("slo", slo.name), *slo.scope)) for slo in slos}
    for alert in alerts:
        finding = alert.finding
        if alert.state == "closed":
            continue
        if finding.kind == "budget":
            revision, _slash, start_us = finding.period.partition("/")
            budget = by_revision.get(revision)
            if budget is None:
                yield _end(alert, now_us, "the budget was changed, or is watched no more")
            elif budget.at(now_us).start_us > int(start_us):
                yield _end(alert, now_us, "its period is over")
        elif finding.kind == "slo" and frozenset(finding.dimensions) not in watched:
            # Under another scope it is another alert, and nothing else would end this one.
            yield _end(alert, now_us, "the SLO has another scope, or is watched no more")


def lost(alerts: Iterable[Alert], decider: Decider) -> Iterator[Finding]:
    """Yield the end of alerts about runs and alarms that the decider does not know.

    Only where its state was lost or is torn, or a level was taken out of the rules, and once the
    decider has caught up: else it may just have to read on to know them.
    """
    known = decider.watched.open_alarms()
    for alert in alerts:
        finding = alert.finding
        if alert.state == "closed":
            continue
        is_lost = (
            finding.kind == "run" and run_of(finding) not in decider.flagged
        ) or (
            finding.kind == "anomaly"
            and (frozenset(finding.dimensions), finding.metric) not in known
        )  # fmt: skip
        if is_lost:
            yield _end(alert, decider.progress.now_us, _LOST)


def run_of(finding: Finding) -> RunKey:
    """Return the run that a finding is about."""
    named = dict(finding.dimensions)
    return RunKey(named.get("tenant", ""), named["run"])


def _end(alert: Alert, now_us: int, why: str) -> Finding:
    at_us = max(now_us, alert.last_us)
    return replace(alert.finding, change="ends", at_us=at_us, sentence=why)
