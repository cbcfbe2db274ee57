"""Users, keys, agents, runs, tenants and coding agents: computed without SQL."""

from __future__ import annotations

import datetime as dt
from typing import Any

import polars as pl

from tests.sql.cookbook.frames import (
    DAY,
    HOUR,
    by_subject,
    calls,
    count_if,
    ratio,
    since,
    since_day,
    sum_if,
    this_hour,
    total,
)
from tests.sql.cookbook.money import DOLLARS, USD
from tests.sql.cookbook.registry import answers
from tests.sql.cookbook.stored import Stored


@answers("Who spent most yesterday?")
def yesterday(stored: Stored) -> pl.DataFrame:
    day = stored.now.date() - dt.timedelta(days=1)
    frame = by_subject(stored.requests.filter(pl.col("day") == day))
    return frame.filter(pl.col("kind").is_in(["user", "key", "agent"])).group_by(
        "kind", "subject", "tenant"
    ).agg(calls(), USD.sum()).sort("usd", descending=True).group_by("kind").head(5)  # fmt: skip


@answers("Who spends most: which user, key, agent, tool or MCP server?")
def spenders(stored: Stored) -> pl.DataFrame:
    frame = by_subject(since_day(stored, 6)).filter(pl.col("kind") != "run")
    return frame.group_by("kind", "subject").agg(calls(), USD.sum()).with_columns(
        ratio(pl.col("usd"), pl.col("usd").sum().over("kind"), 100).alias("percent_of_kind")
    ).sort("usd", descending=True).group_by("kind").head(5)  # fmt: skip


def _runs(stored: Stored) -> pl.DataFrame:
    """Return every run with its sums, its nesting, and the runs below it."""
    runs = stored.requests.filter(pl.col("run") != "").group_by("tenant", "run").agg(
        pl.col("agent_name").max().alias("agent"), pl.col("user_hash").max(), calls(),
        pl.col("tool_calls_count").fill_null(0).sum().alias("tool_calls"),
        count_if(pl.col("is_error")).alias("errors"),
        (pl.col("input0").sum() + pl.col("output0").sum()).alias("tokens"),
        USD.sum().alias("cost_usd"),
        ((pl.col("ended_at_us").max() - pl.col("started_at_us").min()) / 1e6).alias("seconds"),
        pl.col("parent_run_id").max().alias("parent_run"),
        pl.col("at").max().alias("last"),
    )  # fmt: skip
    parent = {(r["tenant"], r["run"]): r["parent_run"] for r in runs.to_dicts() if r["parent_run"]}
    above: dict[tuple[str, str], int] = {}
    below: dict[tuple[str, str], int] = {}
    for tenant, run in parent:
        levels, at = 0, run
        while up := parent.get((tenant, at)):
            levels, at = levels + 1, up
            below[tenant, at] = max(levels, below.get((tenant, at), 0))
        above[tenant, run] = levels
    keys = list(zip(runs["tenant"], runs["run"], strict=True))
    return runs.with_columns(
        pl.Series("nesting", [above.get(key, 0) for key in keys], pl.Int64),
        pl.Series("deepest_nesting", [below.get(key, 0) for key in keys], pl.Int64),
    )


@answers("Which runs were the most expensive, and how deep did they nest?")
def most_expensive_runs(stored: Stored) -> pl.DataFrame:
    frame = _runs(stored).filter(pl.col("last") >= stored.now - DAY)
    return frame.sort("cost_usd", descending=True).head(20).drop("last", "nesting")


@answers("What did a run cost together with the runs it started?")
def runs_with_children(stored: Stored) -> pl.DataFrame:
    frame = _runs(stored).filter((pl.col("last") >= stored.now - DAY) & (pl.col("nesting") <= 1))
    root = pl.when(pl.col("parent_run") == "").then("run").otherwise("parent_run")
    return frame.group_by("tenant", root.alias("root")).agg(
        pl.len().alias("runs"), pl.col("calls").sum(), pl.col("cost_usd").sum().alias("usd")
    ).sort("usd", descending=True).head(20)  # fmt: skip


@answers("What does each agent cost a day, and one run of it?")
def agents_by_day(stored: Stored) -> pl.DataFrame:
    frame = since_day(stored, 6).filter(pl.col("agent_name") != "")
    # A run has one agent in each hour: the greatest name of its calls then.
    runs = since_day(stored, 6).filter(pl.col("run") != "").group_by(
        "day", "hour", "tenant", "run", "service"
    ).agg(pl.col("agent_name").max().alias("agent"))  # fmt: skip
    counts = runs.group_by("day", "agent", "tenant").agg(pl.col("run").n_unique())
    counts = counts.group_by("day", "agent").agg(pl.col("run").sum().cast(pl.Int64).alias("runs"))
    return frame.group_by("day", pl.col("agent_name").alias("agent")).agg(
        calls(), pl.col("tool_calls_count").fill_null(0).sum().alias("tool_calls"), USD.sum(),
        (100 * count_if(pl.col("is_error")) / pl.len()).alias("error_percent"),
    ).join(counts, on=["day", "agent"], how="left").with_columns(
        pl.col("runs").fill_null(0),
        ratio(pl.col("usd") / DOLLARS, pl.col("runs").fill_null(0)).alias("usd_per_run"),
    )  # fmt: skip


@answers("Which runs are spending right now?")
def runs_now(stored: Stored) -> pl.DataFrame:
    frame = stored.requests.filter(
        (pl.col("hour") >= this_hour(stored) - HOUR) & (pl.col("run") != "")
    )
    return frame.group_by("tenant", "run").agg(
        pl.col("agent_name").max(), calls(), USD.sum(), pl.col("at").max().alias("last_call")
    ).sort("usd", "last_call", descending=True).head(20)  # fmt: skip


@answers("Do sums by subject and raw rows agree, to the last pico-dollar?")
def subjects_agree(stored: Stored) -> pl.DataFrame:
    frame = stored.requests.filter(pl.col("hour") >= this_hour(stored) - DAY)
    return by_subject(frame).select("kind", "hour").unique().with_columns(agree=True)


@answers("How many tokens does a user take?")
def tokens_by_user(stored: Stored) -> pl.DataFrame:
    frame = since(stored, 7).filter(pl.col("user_hash") != "")
    return frame.group_by("tenant", "user_hash").agg(
        calls(), total("input_tokens").alias("input"), total("output_tokens").alias("output"),
        (pl.col("input0").sum() + pl.col("output0").sum()).alias("tokens"),
        total("usd").alias("usd"),
    ).sort("tokens", descending=True).head(20)  # fmt: skip


def _distinct(name: str) -> pl.Expr:
    return pl.col(name).filter(pl.col(name) != "").n_unique().cast(pl.Int64)


@answers("How many different users a day, and what does one cost?")
def users_by_day(stored: Stored) -> pl.DataFrame:
    return since_day(stored, 14).group_by("day").agg(
        _distinct("user_hash").alias("users"), USD.sum()
    ).with_columns(
        ratio(pl.col("usd") / DOLLARS, pl.col("users")).alias("usd_per_user")
    )  # fmt: skip


@answers("How many users does each tenant have this month?")
def users_by_month(stored: Stored) -> pl.DataFrame:
    frame = stored.requests.filter(pl.col("day") >= stored.now.date().replace(day=1))
    return frame.group_by("tenant").agg(
        _distinct("user_hash").alias("monthly_users"),
        _distinct("conversation_id").alias("monthly_conversations"),
    )


@answers("Who are the busiest tenants, and how high are their peaks?")
def busiest(stored: Stored) -> pl.DataFrame:
    minutes = since(stored, 1, "minute").group_by("tenant", "minute").agg(
        calls(), (pl.col("input0").sum() + pl.col("output0").sum()).alias("tokens")
    )  # fmt: skip
    return minutes.sort("calls", "minute").group_by("tenant").agg(
        pl.col("calls").sum().alias("calls_in_all"),
        pl.col("calls").max().alias("calls_in_the_busiest_minute"),
        pl.col("minute").last().alias("busiest_minute"),
        pl.col("tokens").max().alias("tokens_in_the_busiest_minute"),
    )  # fmt: skip


def _coding(stored: Stored, days: int) -> pl.DataFrame:
    """Return the calls of coding agents of so many days, and which tool each is of."""
    midnight = stored.now.replace(hour=0, minute=0, second=0)
    return stored.requests.filter(
        (pl.col("at") >= midnight - days * DAY)
        & pl.col("sdk_name").is_in(["claude-code", "codex", "gemini-cli"])
    ).rename({"sdk_name": "tool"})


@answers("What does each developer spend a day, on which tool and model?")
def developers(stored: Stored) -> pl.DataFrame:
    keys: list[Any] = ["day", pl.col("user_hash").alias("developer"), "tool", "model"]
    return _coding(stored, 7).group_by(*keys).agg(
        calls(), _distinct("conversation_id").alias("sessions"),
        total("usd").alias("usd"),
    )  # fmt: skip


@answers("What does each tool cost a team, and a developer who uses it?")
def tools_by_team(stored: Stored) -> pl.DataFrame:
    return _coding(stored, 28).group_by("team", "tool").agg(
        calls(), total("usd").alias("usd"), _distinct("user_hash").alias("developers"),
        sum_if("usd", pl.col("user_hash") != "").alias("known"),
    ).with_columns(
        ratio(pl.col("known") / DOLLARS, pl.col("developers")).alias("usd_per_developer")
    ).drop("known")  # fmt: skip


@answers("Which sub-agents take the money of a tool?")
def sub_agents(stored: Stored) -> pl.DataFrame:
    frame = _coding(stored, 28).group_by("tool", pl.col("agent_name").alias("agent"))
    return frame.agg(calls(), total("usd").alias("usd")).with_columns(
        ratio(pl.col("usd"), pl.col("usd").sum().over("tool"), 100).alias("percent_of_tool")
    )
