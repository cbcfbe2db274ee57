"""The layout of aiobotocore: see `client_layouts`."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

Json = dict[str, Any]

CONVERSE: Json = {
    "ResponseMetadata": {"RequestId": "r1", "HTTPStatusCode": 200, "RetryAttempts": 1},
    "output": {"message": {"role": "assistant", "content": [{"text": "hi"}]}},
    "stopReason": "end_turn",
    "usage": {"inputTokens": 10, "outputTokens": 2, "totalTokens": 12},
}
INVOKED: Json = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "content": [{"type": "text", "text": "hi"}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 10, "output_tokens": 2},
}


class AioEventStream:
    """A stream of events, read with `async for`."""

    def __init__(self, events: list[Any]) -> None:
        self._events = events

    def __aiter__(self) -> AsyncIterator[Any]:
        return self._all()

    async def _all(self) -> AsyncIterator[Any]:
        for event in self._events:
            yield event


class AioStreamingBody:
    """A body that is awaited; it may break off at its end."""

    def __init__(self, content: bytes, error: BaseException | None = None) -> None:
        self._content = content
        self._error = error

    async def read(self, amt: int | None = None) -> bytes:
        return self._next(amt)

    def _next(self, amt: int | None) -> bytes:
        if self._error is not None and (amt is None or not self._content):
            raise self._error
        amt = len(self._content) if amt is None else amt
        piece, self._content = self._content[:amt], self._content[amt:]
        return piece

    async def readinto(self, target: bytearray) -> int:
        piece = self._next(len(target))
        target[: len(piece)] = piece
        return len(piece)


class AioBaseClient:
    """A client of bedrock-runtime, whose operations all pass one method."""

    def __init__(
        self, error: BaseException | None = None, body_error: BaseException | None = None
    ) -> None:
        self._body_error = body_error
        self.meta = SimpleNamespace(
            endpoint_url="https://bedrock-runtime.eu-west-1.amazonaws.com", region_name="eu-west-1"
        )
        self._error = error

    async def _make_api_call(self, operation_name: str, api_params: Any) -> Any:
        if self._error is not None:
            raise self._error
        head = {"ResponseMetadata": CONVERSE["ResponseMetadata"]}
        if operation_name == "ConverseStream":
            events = [
                {"messageStart": {"role": "assistant"}},
                {"contentBlockDelta": {"delta": {"text": "hi"}}},
                {"messageStop": {"stopReason": "end_turn"}},
                {"metadata": {"usage": CONVERSE["usage"]}},
            ]
            return {**head, "stream": AioEventStream(events)}
        if operation_name == "InvokeModel":
            body = AioStreamingBody(json.dumps(INVOKED).encode(), self._body_error)
            return {**head, "body": body}
        return CONVERSE
