"""Agents and runs: what a run costs, which broke their guard, and what one run did."""

from __future__ import annotations

from tokentide_dashboards.boards.agents_run import RUN, SPENT_OF_RUN, STEPS
from tokentide_dashboards.boards.shared_calls import COUNTED
from tokentide_dashboards.kit.board import Board, Row
from tokentide_dashboards.kit.link import BoardLink, column
from tokentide_dashboards.kit.override import Override
from tokentide_dashboards.kit.query import any_of, where
from tokentide_dashboards.kit.series import Lines
from tokentide_dashboards.kit.table import Stat, Table
from tokentide_dashboards.kit.uid import Uid
from tokentide_dashboards.kit.unit import Unit
from tokentide_dashboards.kit.variable import SCOPE

__all__ = ["AGENTS"]

NO_RUNS = (
    "No call in this range names a run: widen it, choose All above, or let services name runs "
    "(docs/runs.md)."
)
HOURS = "hour >= toStartOfHour($__fromTime) AND hour <= $__toTime"
SUMS = f"kind = 'run' AND subject != '(other)' AND {HOURS} AND {where('tenant', 'service')}"
RUNS = f"""\
(
    SELECT
        toString(tenant) AS tenant, subject AS run, max(toString(agent)) AS agent,
        sum(requests) AS calls, sum(errors) AS failed, sum(tool_calls) AS tools,
        sum(cost_pico_usd) / 1e12 AS usd,
        min(first_started_at) AS began, max(last_ended_at) AS ended
    FROM subjects_1h WHERE {SUMS}
    GROUP BY tenant, run
)"""
"""Runs of the range, by what they did in its hours."""
THIS_RUN = (BoardLink("What this run did", Uid.AGENTS, {"run": column("run")}),)

COST_OF_RUN = Stat(
    title="Cost of a run",
    description="Half of n runs, 19 of 20, and 99 of 100 cost less than this. Runs count by what "
    "they did in the hours of the range.",
    unit=Unit.USD,
    no_value=NO_RUNS,
    sql=f"""\
SELECT
    quantileExactOrNull(0.5)(usd) AS p50,
    quantileExactOrNull(0.95)(usd) AS p95,
    quantileExactOrNull(0.99)(usd) AS p99,
    count() AS n
FROM {RUNS}""",
    overrides=(COUNTED,),
    links=(BoardLink("Cost and budgets", Uid.COST),),
)
CALLS_OF_RUN = Stat(
    title="Calls of a run",
    description="Half of the runs, and 19 of 20, make no more calls than this. A p95 that grows "
    "alone is a loop in some of them.",
    unit=Unit.COUNT,
    no_value=NO_RUNS,
    sql=f"""\
SELECT quantileExactOrNull(0.5)(calls) AS p50, quantileExactOrNull(0.95)(calls) AS p95
FROM {RUNS}""",
    links=(BoardLink("Calls", Uid.REQUESTS),),
)
OVER = Stat(
    title="Runs over their guard",
    description="Runs that broke a rule of the guard in the range: their rate of spend, their "
    "budget, or the same steps again and again; runs found in a replay do not count.",
    unit=Unit.COUNT,
    no_value="No run was guarded: the detect worker does not run (docs/runs.md).",
    sql=f"""\
SELECT uniqExact(tenant, run) AS runs
FROM run_status FINAL
WHERE $__timeFilter(at) AND NOT is_history AND {any_of("tenant")}""",
    links=(BoardLink("Alerts", Uid.ALERTS),),
)
OVER_TIME = Lines(
    title="Cost of a run over time",
    description="Of runs by the hour, by what they cost within it: half, 19 of 20, and 99 of 100 "
    "cost less; dashed: p95 a week before.",
    unit=Unit.USD,
    no_value=NO_RUNS,
    interval="1h",
    sql=f"""\
SELECT
    time,
    quantileExactIfOrNull(0.5)(usd, is_now) AS p50,
    quantileExactIfOrNull(0.95)(usd, is_now) AS p95,
    quantileExactIfOrNull(0.99)(usd, is_now) AS p99,
    quantileExactIfOrNull(0.95)(usd, NOT is_now) AS week_before,
    countIf(is_now) AS n
FROM
(
    SELECT
        hour >= toStartOfHour($__fromTime) AS is_now,
        if(is_now, hour, hour + toIntervalDay(7)) AS time,
        sum(cost_pico_usd) / 1e12 AS usd
    FROM subjects_1h
    WHERE kind = 'run' AND subject != '(other)' AND {where("tenant", "service")}
        AND ({HOURS} OR hour >= toStartOfHour($__fromTime) - toIntervalDay(7)
            AND hour <= least($__toTime - toIntervalDay(7), $__fromTime))
    GROUP BY tenant, subject, hour
)
GROUP BY time ORDER BY time""",
    overrides=(
        Override(column="week_before", title="p95 last week", is_dashed=True, color="text"),
    ),
    links=(BoardLink("Cost and budgets", Uid.COST),),
)
BROKEN = Table(
    title="Rules that runs broke",
    description="The newest first: what the rule allows, what the run did, and in a sentence why. "
    "Stop a run from its service (docs/stopping.md).",
    unit=Unit.COUNT,
    no_value="No run broke a rule in this range. If that surprises you, `tokentide status` and "
    "docs/runs.md say what is guarded.",
    sql=f"""\
SELECT
    at, toString(tenant) AS tenant, run, toString(agent) AS agent, toString(rule) AS rule,
    usd_from_pico(spend_pico_usd) AS spent, calls, sentence
FROM run_status FINAL
WHERE $__timeFilter(at) AND {any_of("tenant")}
ORDER BY at DESC LIMIT 50""",
    overrides=(
        Override(column="at", unit=Unit.AGE),
        Override(column="run", links=THIS_RUN),
        Override(column="spent", unit=Unit.USD),
    ),
)
MOST_EXPENSIVE = Table(
    title="Runs that cost most",
    description="By what they cost in the hours of the range. Click a run to see what it did.",
    unit=Unit.USD,
    no_value=NO_RUNS,
    sql=f"""\
SELECT
    run, agent, tenant, usd, calls, failed, tools, began,
    dateDiff('millisecond', began, ended) / 1000 AS lasted
FROM {RUNS}
ORDER BY usd DESC, run LIMIT 50""",
    overrides=(
        Override(column="run", links=THIS_RUN),
        Override(column="usd", title="cost"),
        Override(column="calls", unit=Unit.COUNT),
        Override(column="failed", unit=Unit.COUNT),
        Override(column="tools", title="tool calls", unit=Unit.COUNT),
        Override(column="began", unit=Unit.MOMENT),
        Override(column="lasted", unit=Unit.DURATION_S),
    ),
)
LONGEST = Table(
    title="Runs that last longest",
    description="From the first call's start to the last call's end, in the hours of the range.",
    unit=Unit.DURATION_S,
    no_value=NO_RUNS,
    sql=f"""\
SELECT run, agent, tenant, dateDiff('millisecond', began, ended) / 1000 AS lasted, calls, usd
FROM {RUNS}
ORDER BY lasted DESC, run LIMIT 50""",
    overrides=(
        Override(column="run", links=THIS_RUN),
        Override(column="calls", unit=Unit.COUNT),
        Override(column="usd", title="cost", unit=Unit.USD),
    ),
)


def _by(kind: str, title: str, more: str = "") -> Table:
    """Return what subjects of a kind cost."""
    return Table(
        title=f"By {title}",
        description=f"Cost and calls by {title}, by whole hours. Kinds overlap: a call counts once "
        "under each that it names.",
        unit=Unit.USD,
        no_value=f"No call in this range names {title}: widen it, or let services name it "
        "(docs/subjects.md).",
        sql=f"""\
SELECT
    subject{more}, usd_from_pico(sum(cost_pico_usd)) AS spent,
    sum(cost_pico_usd) / 1e9 / nullIf(toFloat64(sum(requests)) - sum(unpriced), 0) AS per_thousand,
    sum(requests) AS calls, sum(errors) AS failed, sum(tool_calls) AS tools
FROM subjects_1h
WHERE kind = '{kind}' AND {HOURS} AND {where("tenant", "service")}
GROUP BY subject ORDER BY spent DESC LIMIT 50""",
        overrides=(
            Override(column="subject", title=title),
            Override(column="per_thousand", title="$ a thousand calls"),
            Override(column="calls", unit=Unit.COUNT),
            Override(column="failed", unit=Unit.COUNT),
            Override(column="tools", title="tool calls", unit=Unit.COUNT),
        ),
    )


TENANT_AND_SERVICE = tuple(one for one in SCOPE if one.name in ("tenant", "service"))

AGENTS = Board(
    uid=Uid.AGENTS,
    title="Agents and runs",
    description="What agents and their runs cost, which broke their guard, and what one run did.",
    variables=(*TENANT_AND_SERVICE, RUN),
    rows=(
        Row((COST_OF_RUN, CALLS_OF_RUN, OVER), height=4),
        Row((OVER_TIME, BROKEN)),
        Row((MOST_EXPENSIVE, LONGEST)),
        Row(
            (
                _by("agent", "agent", ", max(parent) AS started_by"),
                _by("tool", "tool"),
                _by("mcp_server", "MCP server"),
            ),
            title="What costs it: agents, their sub-agents, tools and MCP servers",
        ),
        Row((SPENT_OF_RUN, STEPS), title="One run, step by step", height=10),
    ),
)
