"""Request explorer: the slowest, most expensive and failed calls, and the cost of one explained."""

from __future__ import annotations

from tokentide_dashboards.boards.shared_calls import NO_CALLS
from tokentide_dashboards.kit.board import Board, Row
from tokentide_dashboards.kit.link import BoardLink, PageLink, column, whole
from tokentide_dashboards.kit.override import Override
from tokentide_dashboards.kit.query import chosen, where
from tokentide_dashboards.kit.table import Table
from tokentide_dashboards.kit.uid import Uid
from tokentide_dashboards.kit.unit import Unit
from tokentide_dashboards.kit.variable import SCOPE, SCOPE_NAMES, TextBox, Variable

__all__ = ["REQUESTS"]

IN_RANGE = f"$__timeFilter(started_at) AND {where(*SCOPE_NAMES)}"


def _most_expensive(condition: str) -> str:
    """Write a query of the ids of calls in the range, the one that cost most first."""
    return (
        f"SELECT event_id FROM requests WHERE {condition}{IN_RANGE}"
        " ORDER BY cost_pico_usd DESC NULLS LAST, event_id"
    )


EVENT = Variable(
    name="event",
    label="Call",
    description="Which call is explained below; the one that cost most stands first",
    sql=f"SELECT toString(event_id) FROM ({_most_expensive('')} LIMIT 50)",
    multi=False,
)
TRACE_URL = TextBox(
    name="trace_url",
    label="Traces",
    description="Address of a trace in your tracing, with http:// or https://: the id comes where "
    "{trace} stands, or at the end. Empty: no links",
)
_ADDRESS = f"trim({chosen('trace_url')})"
# Anyone can type the address: a link leads to a web page or nowhere.
TRACE_PAGE = (
    f"if(trace_id = '' OR NOT match({_ADDRESS}, '(?i)^https?://'), '', replaceAll("
    f"concat({_ADDRESS}, if(position({_ADDRESS}, '{{trace}}') > 0, '', '{{trace}}')),"
    " '{trace}', encodeURLComponent(trace_id)))"
)
"""The address of a call's trace, "" where none is known."""
TRACE_LINK = (
    Override(column="trace_page", is_hidden=True),
    Override(
        column="open_trace",
        title="its trace",
        links=(PageLink("The trace in your tracing", whole("trace_page")),),
    ),
)
_CHOSEN = f"toUUIDOrNull({chosen('event')})"
# The engine asks for the most expensive call in any case; with one chosen, its condition lets it
# read none of the calls.
THIS = (
    f"FROM requests WHERE $__timeFilter(started_at) AND event_id = "
    f"ifNull({_CHOSEN}, ({_most_expensive(f'{_CHOSEN} IS NULL AND ')} LIMIT 1))"
)
NO_CALL = (
    "The chosen call did not begin in this range: widen the range, or click a call in a list above."
)


def _list(title: str, description: str, no_value: str, more: str, by: str) -> Table:
    """Return the fifty calls of which `by` is greatest, each with a link to its explanation.

    Which value the fiftieth has is asked first, from that column alone: the other columns are then
    read where few calls are, not of all calls of the range.
    """
    calls = f"requests WHERE {IN_RANGE}{more}"
    return Table(
        title=title,
        description=f"{description} Click a call to see its cost explained, below.",
        unit=Unit.COUNT,
        no_value=no_value,
        sql=f"""\
SELECT
    started_at, toString(service) AS service, toString(model) AS model, toString(status) AS status,
    toString(error_type) AS error, duration_ms, ttft_ms, input_tokens, output_tokens, cost_usd,
    run, trace_id, event_id,
    {TRACE_PAGE} AS trace_page, if(trace_page = '', '', 'open') AS open_trace
FROM {calls}
    AND {by} >= (SELECT min({by}) FROM (SELECT {by} FROM {calls} ORDER BY {by} DESC LIMIT 50))
ORDER BY {by} DESC LIMIT 50""",
        overrides=(
            Override(column="started_at", title="at", unit=Unit.MOMENT),
            Override(column="duration_ms", title="took", unit=Unit.MILLISECONDS),
            Override(column="ttft_ms", title="first token", unit=Unit.MILLISECONDS),
            Override(column="input_tokens", title="input"),
            Override(column="output_tokens", title="output"),
            Override(column="cost_usd", title="cost", unit=Unit.USD),
            Override(
                column="run",
                links=(BoardLink("What this run did", Uid.AGENTS, {"run": column("run")}),),
            ),
            Override(column="trace_id", title="trace"),
            Override(
                column="event_id",
                title="call",
                links=(
                    BoardLink("Its cost explained", Uid.REQUESTS, {"event": column("event_id")}),
                ),
            ),
            *TRACE_LINK,
        ),
    )


EXPLAINED = Table(
    title="Its cost explained",
    description="What the call was charged for: tokens of each kind, what a million of them cost, "
    "and what they add up to. Costs are exact; a price is the cost over the tokens.",
    unit=Unit.USD,
    no_value=NO_CALL,
    sql=f"""\
SELECT
    line.1 AS kind,
    line.2 AS tokens,
    line.3 / 1e6 / nullIf(toFloat64(line.2), 0) AS price,
    usd_from_pico(line.3) AS cost
FROM
(
    WITH
        toNullable(toInt64(ifNull(input_tokens, 0))) AS asked,
        toNullable(toInt64(ifNull(cache_read_tokens, 0))) AS cached,
        toNullable(toInt64(ifNull(cache_write_tokens, 0))) AS written,
        toNullable(toInt64(ifNull(output_tokens, 0))) AS answered,
        asked - cached - written AS uncached
    SELECT
        arrayJoin([
            ('input', uncached, cost_input_pico_usd),
            ('cache reads', cached, cost_cache_read_pico_usd),
            ('cache writes', written, cost_cache_write_pico_usd),
            ('output', answered, cost_output_pico_usd),
            ('other', CAST(NULL, 'Nullable(Int64)'), cost_other_pico_usd),
            ('all', asked + answered, cost_pico_usd)
        ]) AS line
    {THIS}
)""",
    overrides=(
        Override(column="tokens", unit=Unit.COUNT),
        Override(column="price", title="$ a million"),
    ),
)
FACTS = Table(
    title="The call",
    description="What is stored of the call: who made it, whom it asked, how it ended, and which "
    "rule of which price version made its cost. With an address typed at the top, its trace opens "
    "in your tracing.",
    unit=Unit.TEXT,
    no_value=NO_CALL,
    sql=f"""\
SELECT
    stored.1 AS fact, stored.2 AS value, if(fact = 'trace', page, '') AS trace_page,
    if(trace_page = '', '', 'open') AS open_trace
FROM
(
    SELECT
        {TRACE_PAGE} AS page,
        arrayJoin(arrayFilter(x -> x.2 != '', [
            ('call', toString(event_id)),
            ('began', toString(started_at)),
            ('took', concat(toString(round(duration_ms)), ' ms')),
            ('first token after', ifNull(concat(toString(round(ttft_ms)), ' ms'), '')),
            ('service', toString(service)),
            ('environment', toString(environment)),
            ('tenant', toString(tenant)),
            ('team', toString(team)),
            ('feature', toString(feature)),
            ('provider', toString(provider)),
            ('region', toString(region)),
            ('asked for', toString(request_model)),
            ('answered', toString(response_model)),
            ('prompt', trimBoth(concat(toString(prompt_name), ' ', toString(prompt_version)))),
            ('agent', toString(agent_name)),
            ('tool', toString(tool_name)),
            ('run', run),
            ('trace', trace_id),
            ('status', toString(status)),
            ('error', trimBoth(concat(toString(error_type), ' ', toString(error_code)))),
            ('finished by', arrayStringConcat(finish_reasons, ', ')),
            ('retries', ifNull(toString(retry_count), '')),
            ('usage from', toString(usage_source)),
            ('price', toString(price_status)),
            ('price rule', toString(price_rule)),
            ('price version', toString(price_version)),
            ('in the log', concat(toString(_topic), ' ', toString(_partition), ':',
                toString(_offset), ':', toString(_idx)))
        ])) AS stored
    {THIS}
)""",
    links=(BoardLink("Cost and budgets", Uid.COST),),
    overrides=TRACE_LINK,
)

REQUESTS = Board(
    uid=Uid.REQUESTS,
    title="Request explorer",
    description="The calls that cost most, took longest, or failed, and one of them explained.",
    variables=(*SCOPE, EVENT, TRACE_URL),
    rows=(
        Row(
            (
                _list(
                    "Calls that cost most",
                    "The fifty of the range.",
                    NO_CALLS,
                    " AND cost_pico_usd > 0",
                    "cost_pico_usd",
                ),
            )
        ),
        Row(
            (
                _list(
                    "Slowest calls",
                    "The fifty of the range, by the time from start to last byte.",
                    NO_CALLS,
                    "",
                    "duration_ms",
                ),
            )
        ),
        Row(
            (
                _list(
                    "Failed calls",
                    "The newest fifty of the range, rate limits included.",
                    "No call failed in this range, or there are none: see the lists above.",
                    " AND status = 'error'",
                    "started_at",
                ),
            )
        ),
        Row((EXPLAINED, FACTS), title="One call", height=12),
    ),
)
