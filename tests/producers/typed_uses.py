"""The SDK as its callers type it, right and wrong: read by type checkers, never run.

A line with the comment `wrong: WORD` is an error that names WORD, and no other line is one. The
ignores are for the check of this repository, which refuses one that is not needed.
"""

from __future__ import annotations

import tokentide
from tokentide.fields import CallFields, EvaluationFields, RequestFields
from tokentide.settings.given import GivenSettings
from tokentide.testing import captured
from tokentide.usage.flavour import flavour


def settings() -> tokentide.Telemetry:
    given: GivenSettings = {"service": "search-api", "compression": "lz4", "linger_ms": 5}
    tokentide.Telemetry(**given)
    tokentide.Telemetry(redact=print, team=None)
    tokentide.Telemetry(servce="search-api")  # type: ignore[call-arg]  # wrong: servce
    tokentide.Telemetry(compression="snappy")  # type: ignore[arg-type]  # wrong: snappy
    tokentide.Telemetry(linger_ms="5")  # type: ignore[arg-type]  # wrong: linger_ms
    with captured(service="s", capture_content="all", checks_contract=False):
        pass
    with captured(capture_content="everything"):  # type: ignore[arg-type]  # wrong: everything
        pass
    return tokentide.Telemetry(service="search-api", kafka_sasl="scram-sha-512", queue_events=10)


def context() -> None:
    with tokentide.context(tenant="acme", user=7, prompt=("answer", "v12"), tags={"plan": "pro"}):
        pass
    with tokentide.context(agent_name="planner", skill=None, processing="batch", key_id="key_1"):
        pass
    tokentide.context(tenat="acme")  # type: ignore[call-arg]  # wrong: tenat
    tokentide.context(agent_name=7)  # type: ignore[arg-type]  # wrong: agent_name
    tokentide.context(input_tokens=7)  # type: ignore[call-arg]  # wrong: input_tokens
    tokentide.context(tags=["pro"])  # type: ignore[arg-type]  # wrong: tags


@tokentide.context(feature="answer")
async def decorated() -> int:
    return 1


def request(telemetry: tokentide.Telemetry) -> None:
    fields: RequestFields = {"tenant": "acme", "feature": "answer", "user": 7}
    with telemetry.request(provider="openai", request_model="gpt-5-mini", **fields) as call:
        call.record_usage(input_tokens=812, output_tokens=96, cache_read_tokens=512)
        call.record_usage(other_units={"pages": 3}, usage_source="estimated")
        call.record_usage(cached_tokens=512)  # type: ignore[call-arg]  # wrong: cached_tokens
        call.record_usage(usage_source="guess")  # type: ignore[arg-type]  # wrong: guess
        call.set(status="error", error_type="timeout", provider="azure.ai.openai")
        call.set(statsu="error")  # type: ignore[call-arg]  # wrong: statsu
        call.set(status="failed")  # type: ignore[arg-type]  # wrong: failed
        call.set(input_tokens="812")  # type: ignore[arg-type]  # wrong: input_tokens
        call.set(**flavour("openai_chat").read_stream().fields())
        measured: CallFields = {"status": "ok", "input_tokens": 3}
        call.set(**measured)
    telemetry.request(tenat="acme")  # type: ignore[call-arg]  # wrong: tenat
    telemetry.request(evaluator="judge")  # type: ignore[call-arg]  # wrong: evaluator
    telemetry.request(stream="yes")  # type: ignore[arg-type]  # wrong: stream


def verdicts(telemetry: tokentide.Telemetry, event_id: str) -> None:
    fields: EvaluationFields = {"evaluator": "judge", "passed": True, "explanation": "because"}
    telemetry.evaluation("faithfulness", score=0.9, target_event_id=event_id, **fields)
    telemetry.evaluation("faithfulness", scor=1)  # type: ignore[call-arg]  # wrong: scor
    telemetry.evaluation("faithfulness", evaluator="robot")  # type: ignore[arg-type]  # wrong: robot
    telemetry.feedback("thumb", label="up", response_id="r-1", comment="good", tenant="acme")
    telemetry.feedback("thumb", passed=True)  # type: ignore[call-arg]  # wrong: passed


def changes(telemetry: tokentide.Telemetry) -> None:
    telemetry.change("deploy", "search-api", from_version="1", to_version="2", actor="ci")
    telemetry.change("deployment", "search-api")  # type: ignore[arg-type]  # wrong: deployment
    telemetry.change("deploy", "search-api", subjct="x")  # type: ignore[call-arg]  # wrong: subjct
