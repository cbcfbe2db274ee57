"""The contract between producers and the pipeline: event models, JSON Schemas, topics, examples."""

from __future__ import annotations

from tokentide_schemas.events import EVENT_ADAPTER, EVENT_MODELS, SCHEMA_VERSION, Event
from tokentide_schemas.topics import TOPICS, TopicSpec

__all__ = ["EVENT_ADAPTER", "EVENT_MODELS", "SCHEMA_VERSION", "TOPICS", "Event", "TopicSpec"]
