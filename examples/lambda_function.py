"""A serverless function, as AWS Lambda calls it: events leave before the platform stops the clock.

pip install tokentide openai -t package
Handler: lambda_function.handler; environment: OPENAI_API_KEY, TOKENTIDE_KAFKA_BOOTSTRAP,
TOKENTIDE_SERVICE=answers

Between two invocations the process is frozen and later thawed or ended, both without a word. What
still waits then leaves late or never, so each invocation ends with a flush. What that adds is in
docs/producer.md.
"""

from __future__ import annotations

import json
from typing import Any

import openai

import tokentide

telemetry = tokentide.instrument()
client = openai.OpenAI()

FLUSH_S = 2.0
"""Longest delay of an answer while Kafka is away; its events are tried again next time."""


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer one question."""
    try:
        with tokentide.context(
            tenant=event["tenant"], feature="answer", tags={"invocation": context.aws_request_id}
        ):
            reply = client.chat.completions.create(
                model="gpt-5-mini", messages=[{"role": "user", "content": event["question"]}]
            )
        body = {"answer": reply.choices[0].message.content, "event": tokentide.last_event_id()}
        return {"statusCode": 200, "body": json.dumps(body)}
    finally:
        telemetry.flush(FLUSH_S)
