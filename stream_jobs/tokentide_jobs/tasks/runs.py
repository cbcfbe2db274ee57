"""The runs of a range of time as `tokentide runs` lists them, with the guard's verdicts on each.

The guard is that of the stream, and is given the stored calls in order of event time: it judges
each by the runs that were finished by then. Reads only.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from tokentide_jobs.core.guard.guard import RunGuard
from tokentide_jobs.core.guard.rules import GuardRules
from tokentide_jobs.core.guard.standstill import STALLED_STEPS
from tokentide_jobs.core.guard.step_rows import steps_of
from tokentide_jobs.core.guard.steps import RunKey, Step
from tokentide_jobs.core.guard.verdict import Verdict
from tokentide_jobs.core.money import usd
from tokentide_jobs.core.tables import DAY_US
from tokentide_jobs.io.clickhouse.client import ClickHouse

__all__ = ["RunRow", "Runs", "read_runs"]

_LEARNED_US: Final = 14 * DAY_US
"""How far before the range runs are learned from."""
_SLOTS: Final = 8
"""Parts of the range; of each agent the latest 500 runs of each part are learned."""
_BEFORE_US: Final = DAY_US
"""A run that is in the range counts from its beginning, if that is not longer before the range."""
_LIVE_US: Final = 600_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    """One run.

    Attributes:
        tenant: Whose run it is; may be empty.
        run: The run that was named, else the conversation, else the trace.
        agent: Agent of its earliest call that names one.
        agents: Every agent that called in it, at most eight.
        user: Hashed user, or empty.
        service: Of its earliest call.
        parent_run: Run that started it, or empty.
        calls: Calls in it.
        errors: Failed ones.
        unpriced: Calls whose model has no price: they are not in the spend.
        tool_calls: Tools that the model asked for.
        tools: Tools that led to a call, at most eight.
        input_tokens: Reported input.
        output_tokens: Reported output.
        cost_pico_usd: Exact spend.
        first_us: Start of the first call.
        last_us: Start of the last call.
        ended_us: End of the last call.
        verdicts: Of the guard; empty for a run that broke no rule.
    """

    tenant: str
    run: str
    agent: str
    agents: Sequence[str]
    user: str
    service: str
    parent_run: str
    calls: int
    errors: int
    unpriced: int
    tool_calls: int
    tools: Sequence[str]
    input_tokens: int
    output_tokens: int
    cost_pico_usd: int
    first_us: int
    last_us: int
    ended_us: int
    verdicts: Sequence[Verdict] = ()

    def state(self, now_us: int, idle_us: int) -> str:
        """Return `live` (a call in the last ten minutes), `idle` or `finished`."""
        quiet_us = now_us - self.ended_us
        return "live" if quiet_us < _LIVE_US else "idle" if quiet_us < idle_us else "finished"

    def to_dict(self, now_us: int, idle_us: int) -> dict[str, Any]:
        """Return the JSON form; money as decimal strings of USD, exact."""
        fields = asdict(self)
        del fields["cost_pico_usd"], fields["verdicts"]
        return {
            **fields,
            "cost_usd": usd(self.cost_pico_usd),
            "duration_s": (self.ended_us - self.first_us) / 1e6,
            "state": self.state(now_us, idle_us),
            "verdicts": [verdict.to_dict() for verdict in self.verdicts],
        }


@dataclass(frozen=True, slots=True)
class Runs:
    """The runs of a range.

    Attributes:
        listed: Flagged ones first, then by falling spend.
        found: How many there are, listed or not.
        agents: How many agents ran them.
        cost_pico_usd: What they spent together.
        flagged: How many broke a rule.
        learned: Runs that were finished at the end of the range, and learned from.
    """

    listed: list[RunRow]
    found: int
    agents: int
    cost_pico_usd: int
    flagged: int
    learned: int


def read_runs(
    store: ClickHouse,
    rules: GuardRules,
    from_us: int,
    until_us: int,
    *,
    tenant: str = "",
    agent: str = "",
    only_flagged: bool = False,
    limit: int = 20,
) -> Runs:
    """Read the runs with a call in [from_us, until_us) and judge them.

    Args:
        store: Where they are stored.
        rules: What the guard holds them to.
        from_us: Begin of the range, epoch µs of event time.
        until_us: Its end.
        tenant: Only this tenant; empty: all.
        agent: Only runs of this agent; empty: all.
        only_flagged: Only runs that broke a rule.
        limit: Runs that are listed at most.

    Raises:
        RetriableSinkError: ClickHouse does not answer.
    """
    verdicts_of, learned = _judge(store, rules, from_us, until_us, tenant, agent)
    rows = store.select(
        "runs/list",
        {
            "low_us": from_us,
            "since_us": from_us - _BEFORE_US,
            "high_us": until_us,
            "tenant": tenant,
            "agent": agent,
            "only_flagged": int(only_flagged),
            "flagged_tenants": [key.tenant for key in verdicts_of],
            "flagged_runs": [key.run for key in verdicts_of],
            "most": limit,
        },
    )
    whole = rows[0] if rows else {"found_runs": 0, "found_agents": 0, "found_cost_pico_usd": 0}
    return Runs(
        [_row(row, verdicts_of) for row in rows],
        whole["found_runs"],
        whole["found_agents"],
        whole["found_cost_pico_usd"],
        len(verdicts_of),
        learned,
    )


class _Finished:
    """Runs in the order of their ends, each learned once it has been idle for long enough."""

    def __init__(self, history: Sequence[Mapping[str, Any]], idle_us: int) -> None:
        self._history = history
        self._idle_us = idle_us
        self.learned = 0

    def learn_until(self, guard: RunGuard, now_us: int) -> None:
        """Let the guard learn the runs that are finished at a time."""
        while self.learned < len(self._history):
            row = self._history[self.learned]
            if row["last_us"] + self._idle_us > now_us:
                return
            peaks = row["peak_2_minutes"], row["peak_10_minutes"]
            figures = (*peaks, row["whole"], row["peak_stalled"])
            guard.learn(row["tenant"], row["agent"], figures)
            self.learned += 1


def _judge(
    store: ClickHouse, rules: GuardRules, from_us: int, until_us: int, tenant: str, agent: str
) -> tuple[dict[RunKey, list[Verdict]], int]:
    """Return the verdicts on each run that broke a rule, and how many runs the guard learned."""
    guard = RunGuard(rules)
    verdicts_of: dict[RunKey, list[Verdict]] = defaultdict(list)
    history = store.select(
        "runs/history",
        {
            "low_us": from_us - _LEARNED_US,
            "from_us": from_us,
            "high_us": until_us,
            "grain_us": max(1, (until_us - from_us) // _SLOTS),
            "tenant": tenant,
            # Less than this in ten minutes makes no limit: whatever of it did not get on.
            "stalled_from": rules.rate_floor_pico_usd * 1_000 // rules.rate_factor_milli,
            "stalled_steps": STALLED_STEPS,
        },
    )
    finished = _Finished(history[::-1], rules.idle_us)
    for step in _steps(store, rules, from_us, until_us, tenant):
        finished.learn_until(guard, step.at_us)
        for verdict in guard.observe((step,)):
            verdicts_of[verdict.key].append(verdict)
    finished.learn_until(guard, until_us)
    if agent:
        verdicts_of = {
            key: found for key, found in verdicts_of.items() if guard.live[key].agent == agent
        }
    return verdicts_of, finished.learned


def _row(row: Mapping[str, Any], verdicts_of: Mapping[RunKey, list[Verdict]]) -> RunRow:
    fields = {name: value for name, value in row.items() if not name.startswith("found_")}
    return RunRow(**fields, verdicts=tuple(verdicts_of.get(RunKey(row["tenant"], row["run"]), ())))


def _steps(
    store: ClickHouse, rules: GuardRules, from_us: int, until_us: int, tenant: str
) -> Iterator[Step]:
    """Yield the calls of every run that can break a rule."""
    table = store.select_arrow(
        "runs/steps",
        {
            "low_us": from_us,
            "since_us": from_us - _BEFORE_US,
            "high_us": until_us,
            "tenant": tenant,
            "min_calls": min(rules.repeats, rules.repeats_free),
            "min_spend": rules.least_limit_pico_usd,
        },
    )
    for batch in table.to_batches():
        yield from steps_of(batch)
