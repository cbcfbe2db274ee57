"""Token counts: their names, and the place where provider extractors belong.

An extractor is a function from a provider's response to the counts below, one module per API
flavour; `Recorder.record_usage` takes its result as it takes counts given by hand. Rules: totals
are inclusive, every detail is part of its total, None means "not reported" and 0 "reported zero".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

USAGE_FIELDS = (
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "cache_write_long_tokens",
    "reasoning_tokens",
    "input_audio_tokens",
    "input_image_tokens",
    "input_video_tokens",
    "output_audio_tokens",
    "output_image_tokens",
    "cache_read_audio_tokens",
    "web_searches",
    "other_units",
)
"""Event fields that say what a call consumed."""

UsageExtractor = Callable[[object], Mapping[str, object]]
"""Returns the fields of `USAGE_FIELDS` that a provider's response reports."""
