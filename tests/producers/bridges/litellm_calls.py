"""Arguments that LiteLLM hands to its callbacks, and what it answers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

START = datetime(2026, 9, 21, 12, tzinfo=UTC)
END = START + timedelta(milliseconds=1500)
OPENAI = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "model": "gpt-4o-mini",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "a"}, "finish_reason": "stop"}
    ],
    "usage": {
        "prompt_tokens": 1000,
        "completion_tokens": 100,
        "total_tokens": 1100,
        "prompt_tokens_details": {"cached_tokens": 400},
    },
}


def call_of(**more: Any) -> dict[str, Any]:
    """Arguments as LiteLLM hands them to its callbacks."""
    return {
        "model": "gpt-4o-mini",
        "custom_llm_provider": "openai",
        "call_type": "completion",
        "litellm_call_id": "call-1",
        "stream": False,
        "cache_hit": None,
        "optional_params": {"temperature": 0.5, "max_tokens": 64, "extra_body": {}},
        "completion_start_time": END,
        "litellm_params": {
            "api_base": "https://api.openai.com/v1",
            "metadata": {"hidden_params": {"provider_response_model": "gpt-4o-mini-2024-07-18"}},
        },
        **more,
    }
