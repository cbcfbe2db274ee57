"""OpenAI's embeddings and those in its format: input tokens and nothing else."""

from __future__ import annotations

from collections.abc import Mapping

from tokentide.usage.flavour import Flavour
from tokentide.usage.openai_parts import (
    error_fields,
    identity_fields,
    read_common_request,
    usage_of,
)
from tokentide.usage.openai_stream import LastChunk
from tokentide.usage.reading import Fields, count, getter, usage_fields
from tokentide.usage.reported_cost import take_cost


def read_response(response: object) -> Fields:
    """Return the event fields of one answer; the vectors are not looked at."""
    get = getter(response)
    usage = getter(usage_of(get))
    # Some of the format's other providers report the total alone, or a prompt of 0 beside it.
    stated = (count(usage(name)) for name in ("prompt_tokens", "total_tokens"))
    tokens = max((number for number in stated if number is not None), default=None)
    counts: Fields = {"input_tokens": tokens}
    take_cost(counts, usage)
    return identity_fields(get) | usage_fields(counts) | error_fields(get("error"))


def read_request(arguments: Mapping[str, object]) -> Fields:
    """Return the event fields of the keyword arguments of `embeddings.create`."""
    return read_common_request(getter(arguments))


FLAVOUR = Flavour(
    name="openai_embeddings",
    operation="embeddings",
    read_request=read_request,
    read_response=read_response,
    read_stream=lambda: LastChunk(read_response),
)
