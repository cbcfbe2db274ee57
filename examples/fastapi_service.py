"""A FastAPI service: every call of the model becomes an event, with the context it was made in.

pip install tokentide fastapi uvicorn openai
export OPENAI_API_KEY=... TOKENTIDE_KAFKA_BOOTSTRAP=127.0.0.1:9092 TOKENTIDE_SERVICE=answers
uvicorn fastapi_service:app

curl -H 'X-Tenant: acme' -d '{"text": "Why is the sky blue?"}' -H 'Content-Type: application/json' \
    127.0.0.1:8000/answers
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import openai
from fastapi import FastAPI, Header
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

import tokentide

MODEL = "gpt-5-mini"

telemetry = tokentide.instrument()  # the one line; settings come from the environment
client = openai.AsyncOpenAI()


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    """Let the last events leave before a restart; `flush` blocks, so it goes to a thread."""
    yield
    await asyncio.to_thread(telemetry.flush, 5.0)


app = FastAPI(lifespan=lifespan)
Tenant = Annotated[str, Header(alias="X-Tenant")]


class Question(BaseModel):
    """What a user asks."""

    text: str


@app.post("/answers")
async def answer(question: Question, tenant: Tenant) -> dict[str, str | None]:
    """Answer at once."""
    with tokentide.context(tenant=tenant, feature="answer", prompt=("answer", "v3")):
        reply = await client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": question.text}]
        )
    return {"response_id": reply.id, "text": reply.choices[0].message.content}


@app.post("/answers/stream")
async def stream(question: Question, tenant: Tenant) -> StreamingResponse:
    """Answer word by word; a client that hangs up shows as an abandoned call."""
    with tokentide.context(tenant=tenant, feature="stream", prompt=("answer", "v3")):
        chunks = await client.chat.completions.create(
            model=MODEL,
            messages=[{"role": "user", "content": question.text}],
            stream=True,
            stream_options={"include_usage": True},  # else OpenAI does not say what it cost
        )

    async def words() -> AsyncIterator[str]:
        async for chunk in chunks:
            if chunk.choices:
                yield chunk.choices[0].delta.content or ""

    return StreamingResponse(words(), media_type="text/plain")


@app.post("/feedback/{response_id}/{label}")
async def feedback(response_id: str, label: str, tenant: Tenant) -> None:
    """Take a thumb `up` or `down`; it finds its call by the provider's response id."""
    telemetry.feedback("thumb", label=label, response_id=response_id, tenant=tenant)
