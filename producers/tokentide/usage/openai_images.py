"""OpenAI's images: tokens of text and pixels, or, from models priced by the picture, pictures."""

from __future__ import annotations

from collections.abc import Mapping

from tokentide.usage.flavour import Flavour
from tokentide.usage.openai_parts import (
    choices_asked,
    error_fields,
    identity_fields,
    read_common_request,
)
from tokentide.usage.openai_stream import LastChunk
from tokentide.usage.reading import Fields, count, getter, items, kept, usage_fields
from tokentide.usage.reported_cost import take_cost
from tokentide.usage.totals import settle


def read_response(response: object) -> Fields:
    """Return the event fields of one answer, or of the last event of a streamed one."""
    get = getter(response)
    usage = getter(get("usage"))
    inputs = getter(usage("input_tokens_details"))
    outputs = getter(usage("output_tokens_details"))
    drawing = getter(get("svg_usage"))
    counts: Fields = {
        "input_tokens": count(usage("input_tokens")),
        "output_tokens": count(usage("output_tokens")),
        "cache_read_tokens": count(inputs("cached_tokens")),
        "input_image_tokens": count(inputs("image_tokens")),
        "output_image_tokens": count(outputs("image_tokens")),
    }
    in_cache = getter(inputs("cached_tokens_details"))
    units = {
        # Without tokens the pictures themselves are what is billed.
        "images": None if get("usage") is not None else len(items(get("data"))),
        "cache_read_image_tokens": count(in_cache("image_tokens")),
        # Tokens of another model, at its rates.
        "svg_input_tokens": count(drawing("input_tokens")),
        "svg_output_tokens": count(drawing("output_tokens")),
    }
    settle(counts, usage("total_tokens"))
    take_cost(counts, usage)
    counts["other_units"] = {name: number for name, number in units.items() if number}
    return identity_fields(get) | usage_fields(counts) | error_fields(get("error"))


def read_request(arguments: Mapping[str, object]) -> Fields:
    """Return the event fields of the keyword arguments of `images.generate` and `images.edit`."""
    get = getter(arguments)
    return read_common_request(get) | kept({"choices": choices_asked(get)})


FLAVOUR = Flavour(
    name="openai_images",
    operation="image_generation",
    read_request=read_request,
    read_response=read_response,
    read_stream=lambda: LastChunk(read_response),
)
