"""Steps as rows: what ingest publishes of each request, and what the guard reads of it again.

A row is what `runs/steps.sql` selects of a stored request, so that the guard gets the same steps
from the stream and from the store.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import polars as pl
import pyarrow as pa

from tokentide_jobs.core.guard.steps import RunKey, Step, fingerprint
from tokentide_jobs.core.window.first_text import first_text
from tokentide_jobs.core.window.subject_kinds import SUBJECT_KINDS

__all__ = ["ADDED", "NO_VALUE", "STEPS", "STEPS_SCHEMA", "step_rows", "steps_of"]

STEPS: Final = "steps"
"""Stands for these rows where others are named by their table: they are published, not stored."""

STEPS_SCHEMA: Final[Mapping[str, pl.DataType]] = {
    "tenant": pl.String(),
    "run": pl.String(),
    "at_us": pl.Int64(),
    "agent": pl.String(),
    "user": pl.String(),
    "cost_pico_usd": pl.Int64(),
    "tokens": pl.Int64(),
    "errors": pl.Int64(),
    "tool": pl.String(),
    "prompt": pl.String(),
    "input_tokens": pl.Int64(),
    "service": pl.String(),
    "environment": pl.String(),
    "model": pl.String(),
    "prompt_name": pl.String(),
}
"""Columns of the rows."""
NO_VALUE: Final = ("input_tokens",)
"""Columns of which a row may have no value."""
ADDED: Final = ("service", "environment", "model", "prompt_name")
"""Columns that the first version of the rows did not have: texts, empty where they are missing."""


def step_rows(requests: pl.DataFrame) -> pl.DataFrame:
    """Return the steps of priced requests, in order of event time, then of the log.

    Args:
        requests: Rows as `fold_subjects` takes them, in the order of the log.

    Returns:
        One row a request that belongs to a run, in STEPS_SCHEMA. `input_tokens` is null where equal
        sizes say nothing: no text came back, as from embeddings.
    """
    if not requests.height:
        return pl.DataFrame(schema=dict(STEPS_SCHEMA))
    names = [name for name in SUBJECT_KINDS["run"] if name in requests.columns]
    run = first_text(requests, names)
    has_text = pl.col("output_tokens").fill_null(0) > 0
    rows = requests.select(
        pl.col("tenant"),
        run.alias("run"),
        pl.col("started_at_us").alias("at_us"),
        pl.col("agent_name").alias("agent"),
        pl.col("user_hash").alias("user"),
        pl.col("cost_pico_usd").fill_null(0),
        (pl.col("input_tokens").fill_null(0) + pl.col("output_tokens").fill_null(0)).alias(
            "tokens"
        ),
        (pl.col("status") == "error").cast(pl.Int64).alias("errors"),
        pl.col("tool_name").alias("tool"),
        pl.concat_str("prompt_name", "prompt_version", separator=" ").alias("prompt"),
        pl.when(has_text).then(pl.col("input_tokens")).alias("input_tokens"),
        pl.col("service"),
        pl.col("environment"),
        first_text(requests, ("response_model", "request_model")).fill_null("").alias("model"),
        pl.col("prompt_name"),
    )
    if rows["run"].null_count():  # a filter copies every column
        rows = rows.filter(pl.col("run").is_not_null())
    return rows.sort("at_us", maintain_order=True).cast(dict(STEPS_SCHEMA))  # type: ignore[arg-type]


def steps_of(rows: pa.Table | pa.RecordBatch) -> Iterator[Step]:
    """Yield rows as the guard takes them, in their order.

    Args:
        rows: Columns of STEPS_SCHEMA, in any order and with any others.
    """
    columns = [rows.column(name).to_pylist() for name in STEPS_SCHEMA]
    for (
        tenant, run, at_us, agent, user, cost, tokens, errors, tool, prompt, size,
        service, environment, model, prompt_name,
    ) in zip(*columns, strict=True):  # fmt: skip
        yield Step(
            RunKey(tenant, run),
            at_us,
            agent,
            user,
            cost,
            tokens,
            errors=errors,
            tool=tool,
            fingerprint=fingerprint(agent, prompt, tool, size),
            service=service,
            environment=environment,
            model=model,
            prompt_name=prompt_name,
            prompt_version=prompt[len(prompt_name) + 1 :] if prompt_name else "",
            input_tokens=size,
        )
