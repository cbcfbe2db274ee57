"""The bodies of models on Bedrock's InvokeModel, distinguished by their shape.

Anthropic, Amazon Nova and the OpenAI-like formats go to their own readers. Titan, Llama, Mistral's
and Cohere's text models have a few fields each, read here; where a body has no counts, the
headers have.
"""

from __future__ import annotations

from tokentide._contract import MAX_IDENTIFIER
from tokentide.usage import anthropic_messages, bedrock_converse
from tokentide.usage.flavour import flavour
from tokentide.usage.openai_parts import failure_in
from tokentide.usage.reading import (
    MAX_REASONS,
    Fields,
    Get,
    count,
    finish_fields,
    getter,
    items,
    kept,
    label,
    read,
    total,
    usage_fields,
    whole,
)

GUARDRAIL = "amazon-bedrock-guardrailAction"
"""What a guardrail of the customer's did, beside the model's own words in a body or a chunk."""
_REASON_NAMES = ("stop_reason", "finish_reason", "completionReason", "stopReason")
_LISTS_OF_ANSWERS = ("results", "outputs", "choices", "generations")


def read_body(body: object) -> Fields:
    """Return the event fields of a parsed body."""
    get = getter(body)
    fields = _by_format(get, body)
    if "status" not in fields:
        fields.update(failure_in(body))
    if label(get(GUARDRAIL)) == "INTERVENED":
        fields.update(finish_fields(("guardrail_intervened",)))
    return fields


def _by_format(get: Get, body: object) -> Fields:
    usage = getter(get("usage"))
    if label(get("type")) == "message":
        return anthropic_messages.read_response(body)
    if usage("inputTokens") is not None:
        return bedrock_converse.read_response(body)
    if usage("prompt_tokens") is not None:
        return flavour("openai_chat").read_response(body)
    fields = usage_fields(_counts(get))
    fields.update(finish_fields(_reasons(get)))
    identifier = label(get("id"), MAX_IDENTIFIER) or label(get("generation_id"), MAX_IDENTIFIER)
    fields.update(kept({"response_id": identifier}))
    if get("embedding") is not None or get("embeddings") is not None:
        fields["operation"] = "embeddings"
    return fields


def _counts(get: Get) -> Fields:
    """Return the counts of Titan, Llama, Cohere and of Titan's embeddings, where they are."""
    billed = getter(read(get("meta"), "billed_units"))
    titan = total(*(count(read(result, "tokenCount")) for result in items(get("results"), 64)))
    inputs = (get("inputTextTokenCount"), get("prompt_token_count"), billed("input_tokens"))
    outputs = (
        titan,
        get("totalOutputTextTokenCount"),
        get("generation_token_count"),
        billed("output_tokens"),
    )
    return {"input_tokens": _first(inputs), "output_tokens": _first(outputs)}


def _first(values: tuple[object, ...]) -> int | None:
    return next((number for value in values if (number := whole(value)) is not None), None)


def _reasons(get: Get) -> list[object]:
    for name in _LISTS_OF_ANSWERS:
        answers = items(get(name), MAX_REASONS)
        if answers:
            return [_reason(getter(answer)) for answer in answers]
    return [_reason(get)]


def _reason(get: Get) -> object:
    return next((word for name in _REASON_NAMES if (word := label(get(name)))), None)
