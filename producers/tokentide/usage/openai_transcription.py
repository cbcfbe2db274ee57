"""Transcription and translation of speech in OpenAI's format: billed by tokens or by seconds.

Newer models report tokens, audio among them; Whisper and its imitators the seconds of audio, in the
usage or, older, as the duration of a verbose answer. An answer of plain text reports nothing.
"""

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
from tokentide.usage.reading import Fields, amount, count, getter, usage_fields
from tokentide.usage.totals import settle


def read_response(response: object) -> Fields:
    """Return the event fields of one answer, or of the last event of a streamed one."""
    get = getter(response)
    usage = getter(usage_of(get))
    details = getter(usage("input_token_details"))
    tokens = count(usage("input_tokens"))
    seconds = amount(usage("seconds"))
    if seconds is None and tokens is None:
        seconds = amount(get("duration"))
    counts: Fields = {
        "input_tokens": tokens,
        "output_tokens": count(usage("output_tokens")),
        "input_audio_tokens": count(details("audio_tokens")),
    }
    settle(counts, usage("total_tokens"))
    if seconds:
        counts["other_units"] = {"seconds": float(seconds)}
    return identity_fields(get) | usage_fields(counts) | error_fields(get("error"))


def read_request(arguments: Mapping[str, object]) -> Fields:
    """Return the event fields of the keyword arguments of `transcriptions.create`."""
    return read_common_request(getter(arguments))


FLAVOUR = Flavour(
    name="openai_transcription",
    operation="transcription",
    read_request=read_request,
    read_response=read_response,
    read_stream=lambda: LastChunk(read_response),
)
