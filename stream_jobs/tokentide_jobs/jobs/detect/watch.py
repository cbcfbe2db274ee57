"""Looks at the detect worker from outside every few seconds: lag, gauges, identity of the topic."""

from __future__ import annotations

import asyncio
import logging
import os
from typing import Final

from tokentide_jobs.core.decide.decisions import Decisions
from tokentide_jobs.errors import ConfigError, ServiceUnreachable
from tokentide_jobs.io.kafka.admin import topic_log_id
from tokentide_jobs.io.kafka.offsets import offset_ranges
from tokentide_jobs.jobs.detect.job import DetectJob
from tokentide_jobs.jobs.detect.rule_files import RuleFiles
from tokentide_jobs.jobs.runtime.health import Health
from tokentide_jobs.jobs.runtime.log import log_event
from tokentide_jobs.jobs.runtime.memory import give_back
from tokentide_jobs.jobs.runtime.registry import Metrics
from tokentide_jobs.jobs.runtime.watchdog import STUCK_EXIT_CODE, Watchdog
from tokentide_jobs.settings import Settings
from tokentide_schemas.topics import WINDOWS_TOPIC

__all__ = ["DetectWatch"]

_log = logging.getLogger(__name__)

_EVERY_S: Final = 5.0
_BEAT_S: Final = 1.0
_BEHIND_S: Final = 30.0
"""Marks come every five seconds: what is so far behind is not ready."""


class DetectWatch:
    """Watches one job; runs on the same loop.

    Args:
        settings: Broker.
        topic_id: Incarnation of the delta topic when the worker started.
        files: Reported when they are refused.
        metrics: Where gauges go.
        health: Where waits go.
        watchdog: Fed.
    """

    def __init__(
        self,
        settings: Settings,
        topic_id: str,
        files: RuleFiles,
        metrics: Metrics,
        health: Health,
        watchdog: Watchdog,
    ) -> None:
        self._settings = settings
        self._topic_id = topic_id
        self._files = files
        self._metrics = metrics
        self._health = health
        self._watchdog = watchdog
        self._counted: dict[tuple[str, ...], int] = {}
        self._problem = ""
        self._clock_problem = ""

    def found(self, decisions: Decisions, records: int) -> None:
        """Count what was found."""
        count = self._metrics.count
        count("tokentide_detect_records_total", records)
        kinds = {
            "alarm": sum(
                alarm.change == "opened" for one in decisions.windows for alarm in one.judged.alarms
            ),
            "extreme": sum(len(one.judged.extremes) for one in decisions.windows),
            "run": len(decisions.verdicts),
            "budget": len(decisions.notices),
        }
        for kind, number in kinds.items():
            if number:
                count("tokentide_detect_findings_total", number, kind=kind)
        if decisions.windows:
            count("tokentide_detect_windows_total", len(decisions.windows), outcome="judged")
        for verdict in decisions.verdicts:
            log_event(_log, logging.INFO, "run_broke_rule", sentence=verdict.verdict.sentence)
        for one in decisions.notices:
            log_event(
                _log, logging.INFO, "budget_notice", budget=one.budget.name, what=one.notice.what,
                percent=one.notice.percent, period=one.notice.period.label,
                is_history=one.is_history,
            )  # fmt: skip
        self._watchdog.progress()

    async def run(self, job: DetectJob) -> None:
        """Look every few seconds, until cancelled."""
        beats = 0
        while True:
            self._watchdog.beat()
            if beats % int(_EVERY_S / _BEAT_S) == 0:
                await self.look(job)
                await asyncio.to_thread(give_back)
            beats += 1
            await asyncio.sleep(_BEAT_S)

    async def look(self, job: DetectJob) -> None:
        """Show and feed what is watched."""
        self._show(job)
        bootstrap = self._settings.kafka_bootstrap
        try:
            async with asyncio.timeout(_EVERY_S):
                ranges = await offset_ranges(bootstrap, WINDOWS_TOPIC.name)
                topic_id = await topic_log_id(bootstrap, WINDOWS_TOPIC.name)
        except (ServiceUnreachable, ConfigError, TimeoutError, OSError) as exc:
            self._health.kafka_silent(str(exc) or repr(exc))
            return
        self._health.kafka_answers()
        if topic_id != self._topic_id:
            # Its offsets begin again: what this process knows about them is no longer true.
            log_event(_log, logging.CRITICAL, "topic_recreated", topic=WINDOWS_TOPIC.name)
            os._exit(STUCK_EXIT_CODE)
        positions = job.session.positions if job.is_active else {}
        lag = sum(max(0, ranges[n].end - at) for n, at in positions.items() if n in ranges)
        self._metrics.set("tokentide_detect_lag_records", lag)
        now_us = job.session.decider.progress.stamp_us
        clock_us = job.session.clock.reckoned_us() if now_us and job.is_active else now_us
        behind_s = max(0.0, (clock_us - now_us) / 1e6)
        self._metrics.set("tokentide_detect_behind_seconds", behind_s)
        is_behind = lag > 0 and behind_s > _BEHIND_S
        self._health.behind(
            f"decisions are {behind_s:.0f} s behind: {lag:,} records wait" if is_behind else ""
        )
        if lag == 0 or self._health.is_retrying:
            self._watchdog.progress()

    def _show(self, job: DetectJob) -> None:
        decider, show = job.session.decider, self._metrics.set
        show("tokentide_detect_active", int(job.is_active))
        show("tokentide_detect_keys", decider.watched.keys)
        show("tokentide_detect_live_runs", len(decider.guard.live))
        late = "tokentide_detect_late_requests_total"
        self._count(late, decider.merge.carried_requests, outcome="carried")
        self._count(late, decider.merge.late_requests, outcome="passed_over")
        self._count("tokentide_detect_unreadable_records_total", decider.unreadable)
        self._count("tokentide_detect_windows_total", decider.merge.given_up, outcome="given_up")
        book, refused_keys = job.session.book, decider.watched.refused_keys
        self._count("tokentide_detect_refused_findings_total", book.refused)
        show("tokentide_detect_refused_keys", refused_keys)
        full = []
        if book.refused and book.is_full:
            full.append(
                f"{len(book.alerts):,} alerts are open, and {book.refused:,} findings became none: "
                "close what is known (`tokentide alerts list`)"
            )
        if refused_keys:
            full.append(
                f"{refused_keys:,} new keys are not watched, since as many are as `most_keys` of "
                "detect.yaml allows"
            )
        self._health.full("; ".join(full))
        problem = self._files.problem
        self._health.refused_rules(problem)
        if problem != self._problem:
            self._problem = problem
            if problem:
                log_event(_log, logging.ERROR, "rules_refused", error=problem)
        self._show_clock(job.session.clock.problem if job.is_active else "")

    def _show_clock(self, problem: str) -> None:
        """Show whose clock is ahead; the log says once that one is, and that none is any more."""
        self._health.wrong_clock(problem)
        if bool(problem) != bool(self._clock_problem):
            if problem:
                log_event(_log, logging.ERROR, "clock_ahead", error=problem)
            else:
                log_event(_log, logging.INFO, "clocks_right_again")
        self._clock_problem = problem

    def _count(self, name: str, total: int, **labels: str) -> None:
        """Count what a total has grown by; after a restart it may be less."""
        counted = name, *labels.values()
        grown = total - self._counted.get(counted, 0)
        self._counted[counted] = total
        if grown > 0:
            self._metrics.count(name, grown, **labels)
