"""A gateway written with plain `emit`: it forwards chat completions and reports what each one used.

pip install tokentide aiohttp
export TOKENTIDE_KAFKA_BOOTSTRAP=127.0.0.1:9092 TOKENTIDE_SERVICE=gateway
export UPSTREAM=https://api.openai.com PORT=8080
python gateway.py

Clients use it as their base URL and name their team in `X-Team`. Bytes are forwarded before they
are looked at, and nothing of prompts or answers is kept.
"""

from __future__ import annotations

import json
import os
import time

from aiohttp import ClientError, ClientSession, web

import tokentide
from tokentide.usage.flavour import flavour

UPSTREAM = os.environ.get("UPSTREAM", "https://api.openai.com")
CHAT = flavour("openai_chat")
telemetry = tokentide.Telemetry()


async def forward(request: web.Request) -> web.StreamResponse:
    """Forward one call; its event goes out also when the client hangs up in mid-stream."""
    asked = json.loads(await request.read())
    event: dict[str, object] = {
        "type": "request",
        "provider": "openai",
        "operation": "chat",
        "status": "cancelled",  # unless the end is reached
        "team": request.headers.get("X-Team"),
        "started_at_us": time.time_ns() // 1000,
        **CHAT.read_request(asked),
    }
    reading = CHAT.read_stream() if asked.get("stream") else None
    left, started_s = b"", time.perf_counter()
    headers = {"Authorization": request.headers.get("Authorization", "")}
    try:
        async with (
            ClientSession(UPSTREAM, headers=headers) as session,
            session.post(request.path, json=asked) as answer,
        ):
            reply = web.StreamResponse(status=answer.status)
            reply.content_type = answer.content_type
            await reply.prepare(request)
            async for data in answer.content.iter_any():
                await reply.write(data)
                event.setdefault("ttft_ms", (time.perf_counter() - started_s) * 1000)
                left += data
                if reading is not None:  # whole lines are read, and the rest of one is kept
                    *lines, left = left.split(b"\n")
                    for line in lines:
                        reading.add(as_json(line.removeprefix(b"data: ")))
            event |= {"status": "ok" if answer.ok else "error", "http_status": answer.status}
            if not answer.ok:
                event["error_type"] = "rate_limit" if answer.status == 429 else "unknown"
            return reply
    except ClientError as error:
        event |= {"status": "error", "error_type": "connection"}
        raise web.HTTPBadGateway(text=type(error).__name__) from error
    finally:
        used = reading.fields() if reading else CHAT.read_response(as_json(left))
        duration_ms = (time.perf_counter() - started_s) * 1000
        telemetry.emit({**event, **used, "duration_ms": duration_ms})


def as_json(data: bytes) -> object:
    """Return what was answered, None where it is no JSON."""
    try:
        return json.loads(data)
    except ValueError:
        return None


app = web.Application()
app.router.add_post("/v1/chat/completions", forward)

if __name__ == "__main__":
    web.run_app(app, host="127.0.0.1", port=int(os.environ.get("PORT", "8080")))
