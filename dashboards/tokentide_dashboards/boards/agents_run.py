"""One run of Agents and runs: its calls in their order, and how its cost adds up."""

from __future__ import annotations

from tokentide_dashboards.kit.link import BoardLink, column
from tokentide_dashboards.kit.override import Override
from tokentide_dashboards.kit.query import chosen, where
from tokentide_dashboards.kit.series import Lines
from tokentide_dashboards.kit.table import Table
from tokentide_dashboards.kit.uid import Uid
from tokentide_dashboards.kit.unit import Unit
from tokentide_dashboards.kit.variable import Variable

__all__ = ["RUN", "SPENT_OF_RUN", "STEPS"]

OF_RANGE = (
    "kind = 'run' AND subject != '(other)' AND hour >= toStartOfHour($__fromTime)"
    f" AND hour <= $__toTime AND {where('tenant', 'service')}"
)
BY_COST = (
    f"SELECT subject FROM subjects_1h WHERE {OF_RANGE}"
    " GROUP BY subject ORDER BY sum(cost_pico_usd) DESC, subject"
)
RUN = Variable(
    name="run",
    label="Run",
    description="Whose steps are shown below; the run that cost most stands first",
    sql=f"{BY_COST} LIMIT 200",
    multi=False,
)
THIS = f"run = if({chosen('run')} = '', ({BY_COST} LIMIT 1), {chosen('run')})"
CALLS_OF_IT = (
    f"FROM requests WHERE $__timeFilter(started_at) AND {where('tenant', 'service')} AND {THIS}"
)
NO_STEPS = (
    "The chosen run made no call in this range: widen the range, or choose another run above."
)

SPENT_OF_RUN = Lines(
    title="What the run spent",
    description="Cost of the chosen run by then (where none is chosen, of that which cost most): a "
    "steep piece is where to look.",
    unit=Unit.USD,
    no_value=NO_STEPS,
    sql=f"""\
SELECT
    toDateTime64(started_at, 3, 'UTC') AS time,
    sum(ifNull(cost_pico_usd, 0)) OVER (ORDER BY started_at, _offset, _idx) / 1e12 AS spent
{CALLS_OF_IT}
ORDER BY time LIMIT 2000""",
    links=(BoardLink("Alerts", Uid.ALERTS),),
)
STEPS = Table(
    title="Steps of the run",
    description="The calls of the chosen run in their order: who made them, with which tool, how "
    "they ended, how long they took, and what they cost. Click one to see its cost explained.",
    unit=Unit.COUNT,
    no_value=NO_STEPS,
    sql=f"""\
SELECT
    started_at, toString(agent_name) AS agent, toString(tool_name) AS tool,
    toString(model) AS model, toString(status) AS status, duration_ms, input_tokens,
    output_tokens, cost_usd, event_id
{CALLS_OF_IT}
ORDER BY started_at, _offset, _idx LIMIT 1000""",
    overrides=(
        Override(column="started_at", title="at", unit=Unit.MOMENT),
        Override(column="duration_ms", title="took", unit=Unit.MILLISECONDS),
        Override(column="input_tokens", title="input"),
        Override(column="output_tokens", title="output"),
        Override(column="cost_usd", title="cost", unit=Unit.USD),
        Override(
            column="event_id",
            title="call",
            links=(BoardLink("Its cost explained", Uid.REQUESTS, {"event": column("event_id")}),),
        ),
    ),
)
