"""What to do first about an alert, and where the rest is written: `docs/alerts.md#SLUG`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tokentide_jobs.core.alert.finding import Finding

__all__ = ["FIRST_ACTIONS", "first_action", "slug_of"]

FIRST_ACTIONS: Final[Mapping[str, str]] = {
    "latency_p95_ms": "See whether all models of the provider are slow; if so, send traffic to "
    "another one.",
    "ttft_p50_ms": "See whether the provider queues requests, and whether prompts have grown.",
    "output_tps_p50": "See the provider's status page; a slower model may have been put in place.",
    "cost_usd_per_minute": "Find the agent, run or user that spends: `tokentide runs`, and the "
    "view spend_by_subject_day.",
    "unit_price": "See which model answers, and whether its price changed: `tokentide prices`.",
    "tokens_per_request": "Compare the prompt's version with the one before; see whether the "
    "context grows.",
    "quality_score": "Compare answers of the present prompt and model with those before.",
    "feedback_score": "Read the latest comments of users, by prompt version and model.",
    "error_ratio": "Read the errors by kind (view errors_by_minute); see the provider's status "
    "page.",
    "rate_limit_ratio": "Slow down retries, or ask the provider for a higher limit.",
    "refused_ratio": "Read refused answers; see whether the prompt or the model changed.",
    "truncated_ratio": "See whether the token limit was lowered, or answers have grown.",
    "cache_hit_ratio": "See whether the beginning of the prompt changed: caches match prefixes.",
    "requests": "Fewer: see whether the service still calls. More: see who calls.",
    "run": "Look at the run (`tokentide runs --flagged`) and stop it if it is not wanted.",
    "budget": "See what spends: `tokentide budgets show NAME`; raise the budget or cut the use.",
    "slo": "See what fails: `tokentide slos show NAME`.",
    "pipeline_late": "Run `tokentide status`: it says what is wrong and what to do.",
    "pipeline_lag": "Run `tokentide status`: see whether workers run, and whether the store takes "
    "their rows.",
    "pipeline_dead_letters": "See why events are refused: `tokentide dlq list`.",
    "pipeline_unpriced": "See which models have no price (view unpriced), and add them to "
    "prices.yaml.",
    "pipeline_lost": "See what producers say (view producer_stats): the broker was away, or the "
    "queue is too small.",
    "pipeline_silent": "See whether the service runs, and whether it reaches Kafka: `tokentide "
    "check-producer`.",
    "storm": "Look for what the alerts have in common: `tokentide alerts list`.",
    "test": "Nothing: this is a test.",
}
"""By slug: the metric of an anomaly, kind and metric of the pipeline, else the kind."""


def slug_of(finding: Finding) -> str:
    """Return the section of docs/alerts.md that a finding is explained in."""
    if finding.kind == "pipeline":
        return f"{finding.kind}_{finding.metric}"
    return finding.metric if finding.kind == "anomaly" else finding.kind


def first_action(finding: Finding) -> str:
    """Return what to do first."""
    return FIRST_ACTIONS[slug_of(finding)]
