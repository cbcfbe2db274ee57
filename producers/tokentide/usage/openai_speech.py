"""Speech made of text in OpenAI's format: billed by characters, or by tokens in a stream of events.

The answer is audio without usage, so the characters of the request are counted;
they are the bill of the models that are priced by them, and they count only where there was an
answer. Streams of events end with the tokens.
"""

from __future__ import annotations

from collections.abc import Mapping

from tokentide.usage.flavour import Flavour
from tokentide.usage.openai_parts import error_fields, read_common_request
from tokentide.usage.openai_stream import LastChunk
from tokentide.usage.reading import (
    MAX_CHARACTERS,
    NOTHING_READ,
    Fields,
    Get,
    count,
    getter,
    usage_fields,
)
from tokentide.usage.totals import settle


def read_response(response: object) -> Fields:
    """Return the event fields of the last event of a stream.

    Audio carries no usage, not even that usage is missing: what the request states of it holds.
    """
    found = getter(response)("usage")
    if found is None:
        failed = error_fields(getter(response)("error"))
        return {**NOTHING_READ, **failed} if failed else {}
    usage = getter(found)
    counts: Fields = {
        # Mistral's names are those of chats.
        "input_tokens": _first_count(usage, "input_tokens", "prompt_tokens"),
        "output_tokens": _first_count(usage, "output_tokens", "completion_tokens"),
    }
    settle(counts, usage("total_tokens"))
    # Tokens are the bill here, and the characters of the request are not billed as well.
    return {"other_units": None, **usage_fields(counts)}


def _first_count(get: Get, *names: str) -> int | None:
    return next((number for name in names if (number := count(get(name))) is not None), None)


def read_request(arguments: Mapping[str, object]) -> Fields:
    """Return the event fields of the keyword arguments of `speech.create`."""
    get = getter(arguments)
    fields = read_common_request(get)
    text = get("input")
    if type(text) is str and 0 < len(text) <= MAX_CHARACTERS:
        fields["other_units"] = {"characters": len(text)}
        fields["usage_source"] = "estimated"
    return fields


FLAVOUR = Flavour(
    name="openai_speech",
    operation="speech",
    read_request=read_request,
    read_response=read_response,
    read_stream=lambda: LastChunk(read_response),
)
