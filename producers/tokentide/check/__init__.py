"""One test event to Kafka, step by step: what a deployment asks before it trusts the producer."""

from tokentide.check.steps import check

__all__ = ["check"]
