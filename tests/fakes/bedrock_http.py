"""Bedrock's HTTP answers, served to the real botocore client in memory: nothing is sent."""

from __future__ import annotations

import base64
import binascii
import importlib
import io
import json
import struct
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]

COUNTS: Json = {"inputTokens": 10, "outputTokens": 2, "totalTokens": 12}
CONVERSE: Json = {
    "output": {"message": {"role": "assistant", "content": [{"text": "hi"}]}},
    "stopReason": "end_turn",
    "usage": COUNTS,
    "metrics": {"latencyMs": 5},
}
CONVERSE_EVENTS: tuple[tuple[str, Json], ...] = (
    ("messageStart", {"role": "assistant"}),
    ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "hi"}}),
    ("contentBlockStop", {"contentBlockIndex": 0}),
    ("messageStop", {"stopReason": "end_turn"}),
    ("metadata", {"usage": COUNTS, "metrics": {"latencyMs": 5}}),
)
MESSAGE: Json = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "content": [{"type": "text", "text": "hi"}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 10, "output_tokens": 2},
}
MESSAGE_EVENTS: tuple[Json, ...] = (
    {"type": "message_start", "message": {"id": "msg_1", "usage": {"input_tokens": 10}}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hi"}},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
    {
        "type": "message_stop",
        "amazon-bedrock-invocationMetrics": {"inputTokenCount": 10, "outputTokenCount": 2},
    },
)
COUNT_HEADERS = {
    "x-amzn-bedrock-input-token-count": "10",
    "x-amzn-bedrock-output-token-count": "2",
}


def event(name: str, payload: Json, kind: str = "event") -> bytes:
    """Return one message of Amazon's event stream encoding."""
    headers = b""
    named = ":exception-type" if kind == "exception" else ":event-type"
    pairs = ((":message-type", kind), (named, name), (":content-type", "application/json"))
    for header, value in pairs:
        head, text = header.encode(), value.encode()
        headers += bytes([len(head)]) + head + b"\x07" + struct.pack(">H", len(text)) + text
    body = json.dumps(payload).encode()
    prelude = struct.pack(">II", 16 + len(headers) + len(body), len(headers))
    message = prelude + struct.pack(">I", binascii.crc32(prelude)) + headers + body
    return message + struct.pack(">I", binascii.crc32(message))


def converse_events() -> list[bytes]:
    """Return a streamed Converse answer, one message each."""
    return [event(name, payload) for name, payload in CONVERSE_EVENTS]


def message_events() -> list[bytes]:
    """Return a streamed InvokeModel answer, one message each."""
    parts = (json.dumps(part, separators=(",", ":")) for part in MESSAGE_EVENTS)
    texts = (base64.b64encode(part.encode()).decode() for part in parts)
    return [event("chunk", {"bytes": text}) for text in texts]


class Raw(io.BytesIO):
    """The connection below a response.

    Attributes:
        pulled: Pieces that have been asked for.
        breaks: What reading raises when the pieces are used up.
    """

    def __init__(self, pieces: list[bytes], breaks: Exception | None = None) -> None:
        super().__init__(b"".join(pieces))
        self.pieces = pieces
        self.pulled = 0
        self.breaks = breaks

    def read(self, size: int | None = -1, /) -> bytes:
        """Read the body of a response that is no stream."""
        data = super().read(-1 if size is None else size)
        if self.breaks is not None and (size is None or not data):
            raise self.breaks
        return data

    def stream(self) -> Iterator[bytes]:
        """Read piece by piece, as urllib3 does."""
        for piece in self.pieces:
            self.pulled += 1
            yield piece
        if self.breaks is not None:
            raise self.breaks


class Bedrock:
    """A client of bedrock-runtime and what it is answered.

    Attributes:
        client: botocore's own.
        status: HTTP status of the answers to come; another than 200 for as many answers as
            `failures` says.
        failures: How many answers are still to fail.
        raw: Connection of the latest answer.
        breaks: Becomes `Raw.breaks`.
        sent: Operations asked for, in order.
    """

    def __init__(self, **config: Any) -> None:
        self.status, self.failures = 200, 0
        self.breaks: Exception | None = None
        self.raw = Raw([])
        self.sent: list[str] = []
        botocore = importlib.import_module("botocore.session")
        config_of = importlib.import_module("botocore.config").Config
        session = botocore.get_session()
        self._response = importlib.import_module("botocore.awsrequest").AWSResponse
        self.client = session.create_client(
            "bedrock-runtime",
            region_name="eu-west-1",
            aws_access_key_id="a",
            aws_secret_access_key="b",
            config=config_of(**{"retries": {"max_attempts": 0}, **config}),
        )
        self.client.meta.events.register("before-send.bedrock-runtime", self._answer)

    def _answer(self, request: Any, **_rest: Any) -> Any:
        operation = request.url.rpartition("/")[2]
        self.sent.append(operation)
        headers = {"content-type": "application/json", "x-amzn-requestid": "rid-1"}
        if self.failures:
            self.failures -= 1
            headers["x-amzn-errortype"] = "ThrottlingException"
            self.raw = Raw([b'{"message": "slow down"}'])
            return self._response(request.url, self.status, headers, self.raw)
        if operation == "converse":
            pieces = [json.dumps(CONVERSE).encode()]
        elif operation == "invoke":
            pieces = [json.dumps(MESSAGE).encode()]
            headers.update(COUNT_HEADERS)
        else:
            pieces = converse_events() if operation == "converse-stream" else message_events()
            headers["content-type"] = "application/vnd.amazon.eventstream"
        self.raw = Raw(pieces, self.breaks)
        return self._response(request.url, 200, headers, self.raw)
