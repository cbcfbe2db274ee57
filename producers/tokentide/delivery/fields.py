"""The text fields of the event contract and how long each may be.

The producer depends on no schema library, so these limits are repeated here; a test holds them
equal to the event models. They let the encoder shorten or convert what the pipeline would have to
refuse: a long model name must not cost the event its token counts.
"""

from __future__ import annotations

_LABELS = (
    "service environment tenant team feature user_hash sdk_name sdk_version operation provider "
    "upstream_provider region system_fingerprint agent_name workflow_name prompt_name "
    "prompt_version tool_name tool_type reasoning_level service_tier_requested service_tier speed "
    "inference_geo error_type error_code name label subject actor producer_id"
)
_IDENTIFIERS = (
    "host server_address request_model response_model response_id previous_response_id "
    "conversation_id agent_id tool_call_id from_version to_version"
)
_TEXTS = "usage_raw explanation comment description last_error"

TEXT_LIMITS: dict[str, int] = {
    **dict.fromkeys(_LABELS.split(), 128),
    **dict.fromkeys(_IDENTIFIERS.split(), 256),
    **dict.fromkeys(_TEXTS.split(), 2048),
}
"""Longest text of each text field, in characters."""

MAX_TAGS = 32
MAX_TAG_KEY = 64
MAX_TAG_VALUE = 256
MAX_FINISH_REASONS = 128
