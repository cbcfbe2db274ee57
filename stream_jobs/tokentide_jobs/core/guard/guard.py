"""The guard: steps of runs in, verdicts out, bounded memory, no clock and no watermark.

The result of the same calls is the same everywhere, bit for bit. The guard does not recognise a
step that is given twice: the caller skips repeated steps by the coordinates of their source.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from tokentide_jobs.core.guard.levels import STALLED, WHOLE, Figures, Levels
from tokentide_jobs.core.guard.rules import RATE_WINDOWS_US, GuardRules
from tokentide_jobs.core.guard.run_state import RunState
from tokentide_jobs.core.guard.steps import RunKey, Step
from tokentide_jobs.core.guard.verdict import Rule, Verdict

__all__ = ["RunGuard"]

_SWEEPS_PER_IDLE = 20
_EVICTED_SHARE = 20
"""One in this many live runs makes room at once, so that it is sorted for seldom."""


class RunGuard:
    """Guards the runs of all tenants.

    Args:
        rules: Floors, factors and bounds.

    Attributes:
        levels: What is normal.
        live: Runs that are not finished.
        swept_us: When finished runs were last looked for.
        evicted: Runs that made room before they were finished; nothing was learned of them.
    """

    def __init__(self, rules: GuardRules) -> None:
        self.rules = rules
        self.levels = Levels(rules)
        self.live: dict[RunKey, RunState] = {}
        self.swept_us = 0
        self.evicted = 0

    def observe(self, steps: Iterable[Step]) -> list[Verdict]:
        """Add steps, best in order of event time, and return the rules that they broke."""
        verdicts: list[Verdict] = []
        for step in steps:
            run = self.live.get(step.key)
            if run is None:
                run = self.live[step.key] = RunState(step.at_us, step.at_us)
                if len(self.live) > self.rules.live_runs:
                    self._evict()
            stalled = run.standstill.add(step, is_late=step.at_us < run.last_us)
            highest = run.add(step)
            verdicts += self._judged(step, run, highest, stalled)
        return verdicts

    def finish_idle(self, now_us: int) -> int:
        """Finish and learn runs without a step for `idle_us`.

        Args:
            now_us: The time, in event time as the caller knows it; looking is cheap most times.

        Returns:
            Runs that were finished. A later step of such a run begins a new one.
        """
        idle_us = self.rules.idle_us
        if now_us - self.swept_us < idle_us // _SWEEPS_PER_IDLE:
            return 0
        self.swept_us = now_us
        finished = sorted(
            (run.last_us, key) for key, run in self.live.items() if run.last_us <= now_us - idle_us
        )
        for _, key in finished:
            run = self.live.pop(key)
            self.learn(key.tenant, run.agent, run.figures)
        return len(finished)

    def learn(self, tenant: str, agent: str, figures: Figures) -> None:
        """Learn one finished run, from history or from here.

        Args:
            tenant: Whose run it was.
            agent: Who ran.
            figures: In pico-USD.
        """
        self.levels.learn(tenant, agent, figures)

    def _judged(
        self, step: Step, run: RunState, highest: tuple[int, ...], stalled: tuple[int, int]
    ) -> list[Verdict]:
        """Return a verdict for every rule that this step broke first."""
        rules, found = self.rules, []
        tenant, agent = step.key.tenant, run.agent
        if "spend_rate" not in run.broken and max(highest) > rules.rate_floor_pico_usd:
            for place, window_us in enumerate(RATE_WINDOWS_US):
                limit = self.levels.limit(tenant, agent, place)
                if highest[place] > limit.pico_usd:
                    found.append(
                        self._verdict(
                            step, run, highest, "spend_rate", highest[place], limit.pico_usd,
                            limit=limit, window_us=window_us,
                        )
                    )  # fmt: skip
                    break
        if "budget" not in run.broken:
            limit = self.levels.limit(tenant, agent, WHOLE)
            if run.spend_pico_usd > limit.pico_usd:
                found.append(
                    self._verdict(
                        step, run, highest, "budget", run.spend_pico_usd, limit.pico_usd,
                        limit=limit,
                    )
                )  # fmt: skip
        if "repeats" not in run.broken:
            count, spend, cycle = run.streak.longest()
            is_costly = count >= rules.repeats and spend >= rules.repeats_pico_usd
            if is_costly or count >= rules.repeats_free:
                found.append(
                    self._verdict(
                        step, run, highest, "repeats", count,
                        rules.repeats if is_costly else rules.repeats_free,
                        cycle=cycle, repeats_pico_usd=spend,
                    )
                )  # fmt: skip
        stalled_pico_usd, steps = stalled
        if "no_growth" not in run.broken and stalled_pico_usd > rules.rate_floor_pico_usd:
            limit = self.levels.limit(tenant, agent, STALLED)
            if stalled_pico_usd > limit.pico_usd:
                found.append(
                    self._verdict(
                        step, run, highest, "no_growth", stalled_pico_usd, limit.pico_usd,
                        limit=limit, window_us=RATE_WINDOWS_US[-1], stalled_steps=steps,
                    )
                )  # fmt: skip
        return found

    def _verdict(
        self,
        step: Step,
        run: RunState,
        highest: tuple[int, ...],
        rule: Rule,
        value: int,
        allowed: int,
        **evidence: object,
    ) -> Verdict:
        run.broken = (*run.broken, rule)
        return Verdict(
            key=step.key,
            agent=run.agent,
            user=run.user,
            rule=rule,
            at_us=step.at_us,
            value=value,
            allowed=allowed,
            spend_pico_usd=run.spend_pico_usd,
            per_minute_pico_usd=run.per_minute_pico_usd(highest[-1]),
            calls=run.calls,
            recent_calls=run.ring.recent_calls(),
            tools=tuple(tool for _, tool in reversed(run.tools)),
            began_us=run.first_us,
            step=step,
            **evidence,  # type: ignore[arg-type]
        )

    def _evict(self) -> None:
        """Let the runs that spent least make room: what a runaway costs is never forgotten."""
        number = max(1, self.rules.live_runs // _EVICTED_SHARE)
        keys = list(self.live)[:-1]  # not the newest
        # Where every call is a run of its own, this happens five times a second: sorting tuples of
        # Python took more of a core than everything else that is decided.
        held = list(self.live.values())[:-1]
        spent = np.array([run.spend_pico_usd for run in held], np.float64)
        ended = np.array([run.last_us for run in held], np.int64)
        order = np.lexsort((ended, spent))[:number].tolist()
        for place in order:
            del self.live[keys[place]]
        self.evicted += len(order)
