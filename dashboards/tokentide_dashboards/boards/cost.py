"""Cost and budgets: where the money goes, what a unit costs, what is wasted, where it will end."""

from __future__ import annotations

from dataclasses import replace

from tokentide_dashboards.boards import shared_calls
from tokentide_dashboards.boards.cost_tables import (
    CERTAINTY,
    FORECAST,
    MODELS,
    PRICE_VERSIONS,
    SUBJECT_KIND,
    SUBJECTS,
    WASTE,
    WITHOUT_COST,
)
from tokentide_dashboards.boards.overview_attention import PLAN
from tokentide_dashboards.boards.shared_calls import (
    CALLS,
    COUNTED,
    NO_CALLS,
    WEEK_BEFORE,
)
from tokentide_dashboards.kit.board import Board, Row
from tokentide_dashboards.kit.limits import UNPRICED_SHARE, up_to
from tokentide_dashboards.kit.link import BoardLink, column
from tokentide_dashboards.kit.override import Override
from tokentide_dashboards.kit.query import BUCKET, BUCKET_S, TOTALS, TOTALS_TWICE, WINDOWS
from tokentide_dashboards.kit.series import Lines
from tokentide_dashboards.kit.table import Bars, Stat
from tokentide_dashboards.kit.uid import Uid
from tokentide_dashboards.kit.unit import Unit
from tokentide_dashboards.kit.variable import SCOPE

__all__ = ["COST"]


def _by(name: str, title: str, board: Uid) -> Bars:
    """Return the ten values of a dimension that cost most."""
    is_filter = name in {one.name for one in SCOPE}
    return Bars(
        title=f"Spend by {title}",
        description=f"The ten that cost most, by {title}; (none): calls that name none.",
        unit=Unit.USD,
        no_value=NO_CALLS,
        sql=f"""\
SELECT
    if({name} = '', '(none)', toString({name})) AS {title},
    usd_from_pico(sum(cost_pico_usd)) AS spent
FROM {TOTALS} WHERE {CALLS}
GROUP BY {title} ORDER BY spent DESC LIMIT 10""",
        links=(
            BoardLink(f"This {title}", board, {name: column(title)})
            if is_filter
            else BoardLink("Calls", board),
        ),
    )


SPENT = replace(shared_calls.SPENT, links=(BoardLink("Calls that cost most", Uid.REQUESTS),))
PER_THOUSAND = Stat(
    title="Cost of a thousand calls",
    description="Of priced calls alone, so that calls without a price do not make it look cheap; "
    "and a week before.",
    unit=Unit.USD,
    no_value=NO_CALLS,
    sql=f"""\
SELECT
    sumIf(cost_pico_usd, is_now) / 1e9
        / nullIf(sumIf(requests, is_now) - sumIf(unpriced, is_now), 0) AS per_thousand,
    sumIf(cost_pico_usd, is_before) / 1e9
        / nullIf(sumIf(requests, is_before) - sumIf(unpriced, is_before), 0) AS week_before
FROM {TOTALS_TWICE} WHERE {CALLS}""",
    overrides=(Override(column="per_thousand", title="a thousand calls"), WEEK_BEFORE),
    links=(BoardLink("Prompts and quality", Uid.PROMPTS),),
)
CACHE = Stat(
    title="Saved by caches",
    description="What tokens read from caches would have cost as plain input, less what "
    "reading and writing them did cost. An estimate by the mean input price of each model; "
    "below zero, caches are written and not read.",
    unit=Unit.USD,
    no_value=NO_CALLS,
    sql=f"""\
SELECT sum(saved_usd) AS saved
FROM
(
    SELECT
        toFloat64(sum(cache_read_tokens) + sum(cache_write_tokens)) AS cached_tokens,
        toFloat64(sum(input_tokens)) - cached_tokens AS plain_tokens,
        toFloat64(sum(cost_input_pico_usd)) / nullIf(plain_tokens, 0) AS plain_price,
        toFloat64(sum(cost_cache_read_pico_usd) + sum(cost_cache_write_pico_usd)) AS cache_cost,
        (cached_tokens * plain_price - cache_cost) / 1e12 AS saved_usd
    FROM {TOTALS} WHERE {CALLS}
    GROUP BY provider, model
)""",
    links=(BoardLink("Prompts and quality", Uid.PROMPTS),),
)
UNPRICED = Stat(
    title="Without a cost",
    description="Share of n calls without a price, and of those without reported usage: more is "
    "spent than these boards show. The table below names the models.",
    unit=Unit.RATIO,
    no_value=NO_CALLS,
    threshold=up_to(UNPRICED_SHARE),
    sql=f"""\
SELECT
    sum(unpriced) / nullIf(sum(requests), 0) AS unpriced_share,
    sum(usage_missing) / nullIf(sum(requests), 0) AS usage_missing_share,
    sum(requests) AS n
FROM {TOTALS} WHERE {CALLS}""",
    overrides=(
        Override(column="unpriced_share", title="no price"),
        Override(column="usage_missing_share", title="no usage"),
        COUNTED,
    ),
    links=(BoardLink("Calls", Uid.REQUESTS),),
)
SPEND = replace(shared_calls.SPEND, links=(BoardLink("Alerts", Uid.ALERTS),))
CLASSES = Lines(
    title="Spend by kind of token",
    description="Cost by the hour, in the five kinds that add up to it. Input that grows alone "
    "means longer prompts; cache writes without reads, a cache that does not pay.",
    unit=Unit.USD_PER_HOUR,
    no_value=NO_CALLS,
    is_stacked=True,
    fill=60,
    sql="SELECT\n    "
    + f"{BUCKET} AS time,\n    "
    + ",\n    ".join(
        f'usd_from_pico(sum(cost_{name}_pico_usd)) * 3600 / {BUCKET_S} AS "{title}"'
        for name, title in (
            ("input", "input"),
            ("cache_read", "cache reads"),
            ("cache_write", "cache writes"),
            ("output", "output"),
            ("other", "other"),
        )
    )
    + f"\nFROM {WINDOWS} WHERE {CALLS}\nGROUP BY time ORDER BY time",
    links=(BoardLink("Calls that cost most", Uid.REQUESTS),),
)

COST = Board(
    uid=Uid.COST,
    title="Cost and budgets",
    description="Where the money goes, what a unit costs, what is wasted, and where it will end.",
    variables=(*SCOPE, SUBJECT_KIND),
    rows=(
        Row((SPENT, PER_THOUSAND, CACHE, UNPRICED), height=4),
        Row((SPEND, CLASSES)),
        Row((PLAN, FORECAST), title="Budgets"),
        Row(
            (
                _by("team", "team", Uid.COST),
                _by("feature", "feature", Uid.REQUESTS),
                _by("model", "model", Uid.COST),
                _by("prompt_name", "prompt", Uid.PROMPTS),
            ),
            title="Who spends it, and on what",
        ),
        Row((MODELS,)),
        Row((SUBJECTS, WASTE)),
        Row((CERTAINTY,), title="How sure the cost is"),
        Row((WITHOUT_COST, PRICE_VERSIONS)),
    ),
)
