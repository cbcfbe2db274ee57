"""Errors, judgements, changes and single traces: computed without SQL."""

from __future__ import annotations

import datetime as dt
from typing import Any

import polars as pl

from tests.sql.cookbook.frames import (
    DAY,
    calls,
    count_if,
    ranked,
    ratio,
    reported,
    since,
)
from tests.sql.cookbook.money import DOLLARS
from tests.sql.cookbook.registry import answers
from tests.sql.cookbook.stored import Stored
from tests.sql.cookbook.traffic import TRACE

_LIMITED = pl.col("is_error") & (pl.col("error_type") == "rate_limit")


@answers("How often do calls fail, by provider and kind?")
def failures_by_kind(stored: Stored) -> pl.DataFrame:
    failed, kind = pl.col("is_error"), pl.col("error_type")
    is_server = kind.is_in(["server_error", "overloaded"])
    is_known = is_server | kind.is_in(["rate_limit", "timeout"])
    return since(stored, 7, "minute").group_by("provider", "model").agg(
        calls(), (100 * count_if(failed) / pl.len()).alias("error_percent"),
        count_if(_LIMITED).alias("rate_limit"),
        count_if(failed & (kind == "timeout")).alias("timeout"),
        count_if(failed & is_server).alias("server"), count_if(failed & ~is_known).alias("other"),
    )  # fmt: skip


@answers("When were we rate-limited?")
def rate_limited(stored: Stored) -> pl.DataFrame:
    return since(stored, 7, "minute").group_by("hour", "provider").agg(
        count_if(_LIMITED).alias("rate_limited"), calls()
    ).filter(pl.col("rate_limited") > 0)  # fmt: skip


@answers("How many answers are cut off at the token limit?")
def cut_off(stored: Stored) -> pl.DataFrame:
    is_cut = pl.col("finish_reasons").list.contains("length")
    return since(stored, 7, "hour").group_by("prompt_name", "model").agg(
        calls(), (100 * count_if(is_cut) / pl.len()).alias("truncated_percent")
    )  # fmt: skip


@answers("How often does a model refuse, or is it filtered?")
def refusals(stored: Stored) -> pl.DataFrame:
    midnight = pl.col("at").dt.truncate("1d")
    frame = stored.requests.filter(midnight >= stored.now - 30 * DAY)
    return frame.group_by("model").agg(
        calls(), *(
            (100 * count_if(pl.col("status") == status) / pl.len()).alias(f"{status}_percent")
            for status in ("refused", "filtered")
        ),
    )  # fmt: skip


def _judged(stored: Stored, event_type: str, days: int) -> list[dict[str, Any]]:
    """Return judgements, each with its call: the first one in the log that has the id."""
    by_id: dict[str, dict[str, Any]] = {}
    for call in stored.requests.sort("_offset", "_idx").to_dicts():
        for name in (call["event_id"], call["response_id"]):
            by_id.setdefault(name, call)
    found = []
    judged = stored.of(event_type).filter(pl.col("at") >= stored.now - days * DAY)
    for one in judged.to_dicts():
        named = one["target_event_id"] or one["response_id"]
        its_call = by_id.get(named) if named else None
        own = {
            "model": one["response_model"] or one["request_model"],
            "prompt_name": one["prompt_name"], "prompt_version": one["prompt_version"],
        }  # fmt: skip
        what = {name: (its_call or own)[name] or own[name] for name in own}
        found.append({**one, **what, "call": its_call})
    return found


def _verdicts(stored: Stored) -> pl.DataFrame:
    names = ("prompt_name", "prompt_version", "name", "score", "passed")
    rows = [{name: one[name] for name in names} for one in _judged(stored, "evaluation", 30)]
    schema = {"prompt_name": pl.String, "prompt_version": pl.String, "name": pl.String,
              "score": pl.Float64, "passed": pl.Boolean}  # fmt: skip
    return pl.DataFrame(rows, schema=schema)


_PASSED = ratio(count_if(pl.col("passed")), pl.col("passed").count(), 100).alias("passed_percent")


@answers("Did quality change with the prompt version?")
def quality_by_prompt(stored: Stored) -> pl.DataFrame:
    return _verdicts(stored).group_by("prompt_name", "prompt_version", "name").agg(
        pl.len().alias("evaluations"), pl.col("score").mean().alias("mean_score"), _PASSED
    )  # fmt: skip


@answers("What do users say of each model?")
def verdicts_by_model(stored: Stored) -> pl.DataFrame:
    evaluations = [
        {name: one[name] for name in ("model", "label", "score")}
        for one in _judged(stored, "feedback", 30)
    ]
    return pl.DataFrame(evaluations).group_by("model").agg(
        pl.len().alias("verdicts"), pl.col("score").mean().alias("mean_score"),
        *(count_if(pl.col("label") == label).alias(label) for label in ("up", "down")),
    )  # fmt: skip


@answers("What did the calls look like that users disliked?")
def disliked(stored: Stored) -> pl.DataFrame:
    names = ("duration_ms", "finish_reasons", "trace_id")
    rows = [
        {
            "said_at": one["at"], "comment": one["comment"], "model": one["model"],
            "prompt_version": one["prompt_version"], "cost_usd": one["call"]["usd"],
            **{name: one["call"][name] for name in names},
        }
        for one in _judged(stored, "feedback", 7)
        if one["call"] and one["score"] < 0.5
    ]  # fmt: skip
    return pl.DataFrame(rows).sort("said_at", descending=True).head(20)


@answers("What did a new prompt version do to cost, length and quality?")
def prompt_versions(stored: Stored) -> pl.DataFrame:
    keys = ["prompt_name", "prompt_version"]
    frame = since(stored, 30, "hour").filter(pl.col("prompt_name") != "")
    verdicts = _verdicts(stored).group_by(keys).agg(pl.len().alias("evaluations"), _PASSED)
    return frame.group_by(keys).agg(
        pl.col("hour").min().alias("first_seen"), calls(),
        (pl.col("usd").mean() / DOLLARS).alias("usd_per_priced_call"),
        (pl.col("output0").sum() / pl.len()).alias("output_tokens_per_call"),
        reported("duration_ms").alias("latencies"),
    ).join(verdicts, on=keys, how="left").with_columns(
        ranked("latencies", 0.95).alias("latency_p95_ms"), pl.col("evaluations").fill_null(0)
    ).drop("latencies")  # fmt: skip


_SUBJECT_OF = {
    "deploy": ("service", "agent_name"),
    "prompt": ("prompt_name",),
    "model": ("model", "provider"),
    "price": ("model", "provider"),
    "policy": ("feature", "service"),
}


@answers("What happened in the day before and the day after each change?")
def around_changes(stored: Stored) -> pl.DataFrame:
    requests, rows = stored.requests, []
    changes = stored.of("change").filter(pl.col("at") >= stored.now - 30 * DAY)
    for change in changes.unique("event_id").to_dicts():
        at = change["at"]
        concerned = requests.filter(
            pl.any_horizontal(pl.col(n) == change["subject"] for n in _SUBJECT_OF[change["kind"]]),
            *(pl.col(n) == change[n] for n in ("environment", "tenant") if change[n]),
        )
        row = {name: change[name] for name in ("kind", "subject", "environment", "to_version")}
        row |= {
            "changed_at": at,
            "hours_after": min(24.0, (stored.now - at) / dt.timedelta(hours=1)),
        }
        for side, first, end in (("before", at - DAY, at), ("after", at, at + DAY)):
            mine = concerned.filter(pl.col("at").is_between(first, end, closed="left"))
            mean = mine["usd"].mean()
            assert mean is None or isinstance(mean, float)
            row |= {
                f"calls_{side}": mine.height,
                f"usd_per_priced_call_{side}": None if mean is None else mean / DOLLARS,
                f"error_percent_{side}": 100 * mine["is_error"].sum() / mine.height
                if mine.height
                else None,
            }
        rows.append(row)
    return pl.DataFrame(rows, infer_schema_length=None)


@answers("How much of the output is reasoning?")
def reasoning(stored: Stored) -> pl.DataFrame:
    frame = since(stored, 7).filter(pl.col("reasoning_tokens").is_not_null())
    output, part = pl.col("output_tokens").sum(), pl.col("reasoning_tokens").sum()
    return frame.group_by("model").agg(
        output.alias("output"), part.alias("reasoning"),
        ratio(part, output, 100).alias("reasoning_percent"),
    )  # fmt: skip


@answers("What happened in one trace?")
def one_trace(stored: Stored) -> pl.DataFrame:
    return since(stored, 30).filter(pl.col("trace_id") == TRACE).select(
        pl.col("at").alias("started_at"), "service", "agent_name", "prompt_name", "model", "status",
        "duration_ms", "input_tokens", "output_tokens", pl.col("usd").alias("cost_usd"),
    )  # fmt: skip
