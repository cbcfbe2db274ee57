"""Prompts and quality: two versions of a prompt side by side, and how all versions do over time."""

from __future__ import annotations

from tokentide_dashboards.boards.versions import PROMPT_FILTER, SIDE_BY_SIDE
from tokentide_dashboards.kit.board import Board, Row
from tokentide_dashboards.kit.link import BoardLink, column
from tokentide_dashboards.kit.override import Override
from tokentide_dashboards.kit.query import BUCKET, TOTALS, WINDOWS, chosen, where
from tokentide_dashboards.kit.series import Lines
from tokentide_dashboards.kit.table import Table
from tokentide_dashboards.kit.uid import Uid
from tokentide_dashboards.kit.unit import Unit
from tokentide_dashboards.kit.variable import SCOPE, SCOPE_NAMES, Variable

__all__ = ["PROMPTS"]

NO_PROMPT = (
    "No calls of this prompt in this range: widen it, choose All above, or give calls "
    "prompt_name and prompt_version (docs/producer.md)."
)
NO_SCORES = (
    "No answer of this prompt was scored in this range: widen it, or send evaluations or "
    "feedback with prompt_name (docs/events.md)."
)
RECENT = (
    "windows_1h WHERE window_start >= toStartOfHour($__toTime) - toIntervalDay(30)"
    " AND window_start <= $__toTime"
)


def _version(name: str, label: str, description: str, age: int) -> Variable:
    """Choose a version of the prompt: the one that came so many before the newest, by default."""
    return Variable(
        name=name,
        label=label,
        description=description,
        multi=False,
        sql=(
            "SELECT prompt_version FROM (SELECT prompt_version, row_number() OVER ("
            "ORDER BY min(window_start) DESC, max(window_start) DESC, prompt_version DESC) AS age"
            f" FROM {RECENT} AND prompt_name = {chosen('prompt')} AND requests > 0"
            f" GROUP BY prompt_version) ORDER BY age = {age} DESC, age LIMIT 200"
        ),
    )


PROMPT = Variable(
    name="prompt",
    label="Prompt",
    description="Which prompt; those with several versions first",
    multi=False,
    sql=(
        f"SELECT prompt_name FROM {RECENT} AND prompt_name != '' AND requests > 0"
        " GROUP BY prompt_name ORDER BY uniqExact(prompt_version) > 1 DESC,"
        " sum(evaluations_scored + feedback_scored) DESC, prompt_name LIMIT 500"
    ),
)

COMPARED = Table(
    title="Two versions side by side",
    description=(
        "Each number with its 95 % interval and n. A difference is named where the intervals do "
        "not overlap, which is stricter than one test at 5 %; among a dozen measures one may still "
        "differ by chance. Versions that met different traffic differ for that reason too."
    ),
    unit=Unit.NONE,
    no_value=NO_PROMPT,
    sql=SIDE_BY_SIDE,
    overrides=(
        Override(column="measure", title="Measure", width=240),
        Override(column="left_value", title="First"),
        Override(column="left_interval", title="First, 95 % interval"),
        Override(column="left_n", title="First, n", unit=Unit.COUNT),
        Override(column="right_value", title="Second"),
        Override(column="right_interval", title="Second, 95 % interval"),
        Override(column="right_n", title="Second, n", unit=Unit.COUNT),
        Override(column="change_percent", title="Change, %", decimals=1),
        Override(column="verdict", title="Second beside first"),
    ),
    links=(BoardLink("Requests of both versions", Uid.REQUESTS),),
)


def _by_version(title: str, description: str, unit: Unit, part: str, whole: str) -> Lines:
    """Draw a sum beside another one, by version, with what it is out of as n."""
    return Lines(
        title=title,
        description=description,
        unit=unit,
        no_value=NO_SCORES if "scored" in whole or "evaluations" in whole else NO_PROMPT,
        by=("prompt_version",),
        sql=f"""\
SELECT {BUCKET} AS time, prompt_version, {part} / n AS value, sum({whole}) AS n
FROM {WINDOWS}
WHERE {PROMPT_FILTER}
GROUP BY time, prompt_version HAVING n > 0 ORDER BY time""",
    )


QUALITY = _by_version(
    "Quality score",
    "Mean score of evaluations by version; few are few: see n.",
    Unit.NONE,
    "sum(evaluation_score_micro_sum) / 1e6",
    "evaluations_scored",
)
PASSED = _by_version(
    "Evaluations passed",
    "Share of evaluations whose verdict was a pass, by version.",
    Unit.RATIO,
    "sum(evaluations_passed)",
    "evaluations",
)
FEEDBACK = _by_version(
    "Feedback score",
    "Mean score that end users gave, by version.",
    Unit.NONE,
    "sum(feedback_score_micro_sum) / 1e6",
    "feedback_scored",
)
COST = _by_version(
    "Cost per 1,000 calls",
    "Mean cost of priced calls by version.",
    Unit.USD,
    "toFloat64(sum(cost_pico_usd)) / 1e9",
    "requests - unpriced",
)
TOKENS = _by_version(
    "Tokens a call",
    "Input and output tokens of a call that reported them, by version.",
    Unit.COUNT,
    "sum(input_tokens + output_tokens)",
    "requests - usage_missing",
)
LATENCY = Lines(
    title="Latency p95",
    description="95 of 100 calls answered faster, by version; within 1 %.",
    unit=Unit.MILLISECONDS,
    no_value=NO_PROMPT,
    by=("prompt_version",),
    sql=f"""\
SELECT
    {BUCKET} AS time, prompt_version,
    p95_from_hist(sumMap(latency_hist)) AS p95_ms, sum(requests) AS n
FROM {WINDOWS}
WHERE requests > 0 AND {PROMPT_FILTER}
GROUP BY time, prompt_version ORDER BY time""",
)

EVERY = Table(
    title="All prompts",
    description=(
        "Every version that was called in the range, most expensive first. Click a prompt to "
        "compare its versions."
    ),
    unit=Unit.COUNT,
    no_value=NO_PROMPT,
    sql=f"""\
SELECT
    prompt_name, prompt_version, sum(requests) AS calls,
    usd_from_pico(sum(cost_pico_usd)) AS usd,
    toFloat64(sum(cost_pico_usd)) / 1e9 / nullIf(sum(requests - unpriced), 0) AS usd_per_1000,
    p95_from_hist(sumMap(latency_hist)) AS p95_ms,
    sum(errors) / calls AS failed_share, calls AS n,
    sum(evaluation_score_micro_sum) / 1e6 / nullIf(n_quality, 0) AS quality,
    sum(evaluations_scored) AS n_quality,
    sum(feedback_score_micro_sum) / 1e6 / nullIf(n_feedback, 0) AS feedback_score,
    sum(feedback_scored) AS n_feedback
FROM {TOTALS}
WHERE prompt_name != '' AND {where(*SCOPE_NAMES)}
GROUP BY prompt_name, prompt_version HAVING calls > 0
ORDER BY usd DESC LIMIT 100""",
    overrides=(
        Override(
            column="prompt_name",
            title="Prompt",
            links=(
                BoardLink(
                    "Compare versions of this prompt",
                    Uid.PROMPTS,
                    {"prompt": column("prompt_name"), "right": column("prompt_version")},
                ),
            ),
        ),
        Override(column="prompt_version", title="Version"),
        Override(column="calls", title="Calls"),
        Override(column="usd", title="Spent", unit=Unit.USD),
        Override(column="usd_per_1000", title="Per 1,000 calls", unit=Unit.USD),
        Override(column="p95_ms", title="p95", unit=Unit.MILLISECONDS),
        Override(column="failed_share", title="Failed", unit=Unit.RATIO),
        Override(column="n", title="of n calls"),
        Override(column="quality", title="Quality", unit=Unit.NONE, decimals=3),
        Override(column="n_quality", title="of n scores"),
        Override(column="feedback_score", title="Feedback", unit=Unit.NONE, decimals=3),
        Override(column="n_feedback", title="of n ratings"),
    ),
)

HALF = "1.96 * sqrt((passed_share * (1 - passed_share) + 0.9604 / n) / n)"

VERDICTS = Table(
    title="Evaluations of both versions",
    description=(
        "The result of each evaluation for the two versions: mean score, and share passed with "
        "Wilson's 95 % interval."
    ),
    unit=Unit.NONE,
    no_value=NO_SCORES,
    sql=f"""\
SELECT
    name, prompt_version, round(avg(score), 3) AS mean_score,
    countIf(passed) / nullIf(n, 0) AS passed_share,
    (passed_share + 1.9208 / n - {HALF}) / (1 + 3.8416 / n) AS passed_low,
    (passed_share + 1.9208 / n + {HALF}) / (1 + 3.8416 / n) AS passed_high,
    count(passed) AS n, count(score) AS n_scores
FROM evaluations
WHERE $__timeFilter(started_at) AND prompt_name = {chosen("prompt")}
    AND prompt_version IN ({chosen("left")}, {chosen("right")})
    AND {where(*SCOPE_NAMES)}
GROUP BY name, prompt_version
ORDER BY name, prompt_version LIMIT 100""",
    overrides=(
        Override(column="name", title="Evaluation"),
        Override(column="prompt_version", title="Version"),
        Override(column="mean_score", title="Mean score"),
        Override(column="passed_share", title="Passed", unit=Unit.RATIO),
        Override(column="passed_low", title="at least", unit=Unit.RATIO),
        Override(column="passed_high", title="at most", unit=Unit.RATIO),
        Override(column="n", title="of n verdicts", unit=Unit.COUNT),
        Override(column="n_scores", title="of n scores", unit=Unit.COUNT),
    ),
)

PROMPTS = Board(
    uid=Uid.PROMPTS,
    title="Prompts and quality",
    description="Is the new version of a prompt better: cost, speed, tokens, scores, feedback?",
    variables=(
        *SCOPE,
        PROMPT,
        _version("left", "First version", "Compared with the second", age=2),
        _version("right", "Second version", "The newer one", age=1),
    ),
    rows=(
        Row((COMPARED,), height=12),
        Row((QUALITY, PASSED, FEEDBACK), title="All versions of the prompt over time"),
        Row((COST, LATENCY, TOKENS)),
        Row((EVERY,), title="All prompts", height=9),
        Row((VERDICTS,), height=8),
    ),
)
