"""Token counts: their names here, and in the modules beside it the readers of provider answers.

One module per API format (`tokentide.usage.flavour`), loaded when first used. They and
`Recorder.record_usage` follow the same rules: totals are inclusive, every detail is part of its
total, absent means "not reported" and 0 "reported zero". What is read from which provider:
docs/providers.md, which is written from tests.
"""

from __future__ import annotations

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
