"""What a call is billed for: the leaves its usage splits into, and the units prices are quoted in.

Every token of a call belongs to exactly one leaf, so no token is billed twice or forgotten. Unit
names are those of genai-prices; a leaf without a price of its own falls back along its chain.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = [
    "CACHED_IMAGES",
    "COST_CLASSES",
    "LEAVES",
    "OTHER_UNIT_ALIASES",
    "PARENT_UNITS",
    "PARTS_OF_LEAVES",
    "PER_REQUEST",
    "SIZED_REQUESTS",
    "UNIT_DENOMINATORS",
    "CostClass",
    "Leaf",
    "price_key",
]

CostClass = Literal["input", "cache_read", "cache_write", "output", "other"]
COST_CLASSES: tuple[CostClass, ...] = ("input", "cache_read", "cache_write", "output", "other")
"""Cost columns are named `cost_<class>_pico_usd`; together they are `cost_pico_usd`."""


@dataclass(frozen=True)
class Leaf:
    """One disjoint part of a call's usage.

    Attributes:
        name: The name shown by `explain`.
        chain: Units to look a rate up under, the leaf's own first.
        own: How many units at the head of the chain count as the leaf's own price.
        cost_class: The cost column that receives it.
    """

    name: str
    chain: tuple[str, ...]
    own: int
    cost_class: CostClass


PER_REQUEST = "requests"
"""The unit of a fee for the call itself; billed once when the call had any effect."""

LEAVES: tuple[Leaf, ...] = (
    Leaf("input", ("input_tokens",), 1, "input"),
    Leaf("input audio", ("input_audio_tokens", "input_tokens"), 1, "input"),
    Leaf("input image", ("input_image_tokens", "input_tokens"), 1, "input"),
    Leaf("input video", ("input_video_tokens", "input_tokens"), 1, "input"),
    Leaf("cache read", ("cache_read_tokens", "input_tokens"), 1, "cache_read"),
    Leaf(
        "cache read audio",
        ("cache_audio_read_tokens", "cache_read_tokens", "input_audio_tokens", "input_tokens"),
        1,
        "cache_read",
    ),
    # The plain cache write is the provider's shortest lifetime: the general price is its own price.
    Leaf(
        "cache write",
        ("cache_write_5m_tokens", "cache_write_tokens", "input_tokens"),
        2,
        "cache_write",
    ),
    Leaf(
        "cache write 1h",
        ("cache_write_1h_tokens", "cache_write_tokens", "input_tokens"),
        1,
        "cache_write",
    ),
    Leaf(
        "cache write long",
        ("cache_write_long_tokens", "cache_write_tokens", "input_tokens"),
        1,
        "cache_write",
    ),
    Leaf("output", ("output_tokens",), 1, "output"),
    # Reasoning is output by every provider's definition: the output price is its own price.
    Leaf("reasoning", ("output_reasoning_tokens", "output_tokens"), 2, "output"),
    Leaf("output audio", ("output_audio_tokens", "output_tokens"), 1, "output"),
    Leaf("output image", ("output_image_tokens", "output_tokens"), 1, "output"),
    Leaf("web searches", ("web_searches",), 1, "other"),
    Leaf("request fee", (PER_REQUEST,), 1, "other"),
)
"""Order is part of the card layout: leaf i is bit i of the masks in `pricing`."""

_TOKEN_UNITS: tuple[tuple[str, str], ...] = (
    ("input_tokens", "input_mtok"),
    ("output_tokens", "output_mtok"),
    ("cache_read_tokens", "cache_read_mtok"),
    ("cache_write_tokens", "cache_write_mtok"),
    ("cache_write_5m_tokens", "cache_write_5m_mtok"),
    ("cache_write_1h_tokens", "cache_write_1h_mtok"),
    ("cache_write_long_tokens", "cache_write_long_mtok"),
    ("input_audio_tokens", "input_audio_mtok"),
    ("input_image_tokens", "input_image_mtok"),
    ("input_video_tokens", "input_video_mtok"),
    ("cache_audio_read_tokens", "cache_audio_read_mtok"),
    ("cache_image_read_tokens", "cache_image_read_mtok"),
    ("output_reasoning_tokens", "output_reasoning_mtok"),
    ("output_audio_tokens", "output_audio_mtok"),
    ("output_image_tokens", "output_image_mtok"),
    ("output_video_tokens", "output_video_mtok"),
    ("output_citation_tokens", "output_citation_mtok"),
)
_COUNTED_UNITS: tuple[tuple[str, str, int], ...] = (
    ("input_characters", "input_mchars", 1_000_000),
    ("input_text_messages", "input_text_messages_kcount", 1_000),
    ("audio_seconds", "audio_hours", 3_600),
    ("input_audio_seconds", "input_audio_hours", 3_600),
    ("output_audio_seconds", "output_audio_hours", 3_600),
    ("input_pixels", "input_gpixels", 1_000_000_000),
    ("input_document_pages", "input_document_kpages", 1_000),
    ("input_annotated_document_pages", "input_annotated_document_kpages", 1_000),
    ("rerank_searches", "rerank_searches_kcount", 1_000),
    ("web_searches", "web_searches_kcount", 1_000),
    ("social_searches", "social_searches_kcount", 1_000),
    ("storage_searches", "storage_searches_kcount", 1_000),
    ("code_executions", "code_executions_kcount", 1_000),
    ("attachment_searches", "attachment_searches_kcount", 1_000),
    ("map_groundings", "map_groundings_kcount", 1_000),
    ("preview_web_searches", "preview_web_searches_kcount", 1_000),
    ("social_posts", "social_posts_kcount", 1_000),
    ("social_users", "social_users_kcount", 1_000),
    ("low_context_requests", "low_context_requests_kcount", 1_000),
    ("medium_context_requests", "medium_context_requests_kcount", 1_000),
    ("high_context_requests", "high_context_requests_kcount", 1_000),
    (PER_REQUEST, "requests_kcount", 1_000),
)

UNIT_DENOMINATORS: dict[str, tuple[str, int]] = {
    key: (unit, 1_000_000) for unit, key in _TOKEN_UNITS
} | {key: (unit, per) for unit, key, per in _COUNTED_UNITS}
"""Price key as quoted (`input_mtok`: USD per million tokens) -> (unit, units per quoted price)."""

OTHER_UNIT_ALIASES: dict[str, str] = {
    "pages": "input_document_pages",
    "annotated_pages": "input_annotated_document_pages",
    "seconds": "audio_seconds",
    "characters": "input_characters",
    "messages": "input_text_messages",
    "pixels": "input_pixels",
    "search_units": "rerank_searches",
    "citation_tokens": "output_citation_tokens",
    "cache_read_image_tokens": "cache_image_read_tokens",
}
"""Short names producers use in `other_units` -> the unit prices are quoted in."""

CACHED_IMAGES = "cache_image_read_tokens"
"""The unit of image tokens read from a cache, which few providers tell apart."""

SIZED_REQUESTS = ("low_context_requests", "medium_context_requests", "high_context_requests")
"""The units of Perplexity's request fees: which one is due depends on how much was searched."""

PARTS_OF_LEAVES: dict[str, tuple[str, bool]] = {
    CACHED_IMAGES: ("cache read", False),
    "output_video_tokens": ("output", False),
    "preview_web_searches": ("web searches", True),
    **dict.fromkeys(SIZED_REQUESTS, ("request fee", False)),
}
"""Units of `other_units` that are part of a leaf -> the leaf, and whether the leaf's price is their
own where the card has none for them. With a price of their own they are taken out of the leaf."""

FREE_UNITS = frozenset({"search_result_tokens"})
"""Units of `other_units` that no provider charges for: reported, so that they are seen."""

PARENT_UNITS: dict[str, str] = {
    "input_annotated_document_pages": "input_document_pages",
    "input_audio_seconds": "audio_seconds",
    "output_audio_seconds": "audio_seconds",
}
"""Units of `other_units` that are part of another unit, so that the whole is not billed twice."""

_KEY_OF_UNIT = {unit: key for key, (unit, _) in UNIT_DENOMINATORS.items()}


def price_key(unit: str) -> str:
    """Return the quoted name of a unit's price: `input_tokens` -> `input_mtok`."""
    return _KEY_OF_UNIT[unit]
