"""The log record of the examples is one call of a coding agent, as of now."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from typing import cast

from tests.places import ROOT
from tokentide_jobs.core.record.otlp import read_otlp
from tokentide_schemas.events import EVENT_ADAPTER

EXAMPLES = ROOT / "examples"
NOW_NS = 1_800_000_000_123_456_000


def test_the_sample_becomes_one_call_of_claude_code_that_ended_now() -> None:
    value_of = cast(
        "Callable[..., bytes]", runpy.run_path(str(EXAMPLES / "coding_agent_log.py"))["value_of"]
    )
    value = value_of(EXAMPLES / "coding_agent_log.json", NOW_NS)
    read = read_otlp(value)
    assert read.fault is None
    [line] = read.lines
    event = EVENT_ADAPTER.validate_json(line).model_dump()
    assert event["sdk_name"] == "claude-code"
    assert event["started_at_us"] + event["duration_ms"] * 1_000 == NOW_NS // 1_000
    assert (event["team"], event["cache_write_tokens"]) == ("search", 1_500)


def test_the_page_sends_the_file_by_a_line_that_names_both() -> None:
    text = (ROOT / "docs" / "coding-agents.md").read_text("utf-8")
    assert "python examples/coding_agent_log.py examples/coding_agent_log.json" in text
