"""Field types shared by the event models: every bound is stated once, here.

The limits protect the pipeline from absurd input (a 10 MB tag, a token count beyond 64 bits). The
JSON Schemas and the vectorised predicates of the ingest job are derived from these annotations, so
the three cannot disagree.
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

MAX_EVENT_BYTES = 65_536
"""Longest event as JSON; every field at its limit stays well below it in practice."""
MAX_TAGS = 32
"""Tags of one event."""
MAX_COUNT = 1 << 40
"""Largest running counter or sequence number: sums stay far from 64-bit overflow."""
MAX_TOKENS = 100_000_000
"""Largest token count of one call: ten times the largest context there is, so that a count in the
wrong unit or a wrong sign cannot become money."""
MAX_PICO_USD = 9_000_000_000_000_000
"""Most money of one call, 9,000 USD: below 2^53, so that every JSON reader has it exactly."""
MAX_DURATION_MS = 7 * 24 * 3600 * 1000.0
"""Longest duration: a week, the default age at which events stop being accepted."""
MAX_EPOCH_US = 4_102_444_800_000_000
"""2100-01-01: later times are wrong units (nanoseconds), not the future."""

UUID_PATTERN = r"^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"
HEX32_PATTERN = r"^[0-9a-f]{32}$"
HEX16_PATTERN = r"^[0-9a-f]{16}$"
KEY_PATTERN = r"^(sk|gsk|xai|hf|pplx|nvapi|ghp|xoxb)[-_]|^AIza|^eyJ|^Bearer |[A-Za-z0-9]{32}"
"""What looks like a credential itself: the prefixes that providers give their keys, or 32 letters
and digits in a row. Ids of keys are shorter (`key_abc123`, `apikey_01Rj2N8SVvo6BePZj99NhmiT`), or
have hyphens, as UUIDs have. One pattern for Python, Rust and JSON Schema: no look-ahead."""
CODE_PATTERN = r"^[A-Za-z0-9_.:-]{1,64}$"
"""The shape of an error's code or kind: a word, a number or the name of a class, which have neither
blanks nor quotes. Whatever else stands there may be a sentence of a provider or a prompt."""
REASON_PATTERN = r"^([a-z0-9_-]{1,64}|[A-Z0-9_]{1,64})$"
"""The shape of a reason why a model stopped: a word, in small letters or in capitals."""

EventId = Annotated[str, StringConstraints(pattern=UUID_PATTERN)]
"""A UUID in its canonical form with hyphens; version 7 recommended (it sorts by time)."""
TraceId = Annotated[str, StringConstraints(pattern=HEX32_PATTERN)]
SpanId = Annotated[str, StringConstraints(pattern=HEX16_PATTERN)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=128)]
"""A dimension that must be present: service, provider, operation, model."""
Label = Annotated[str, StringConstraints(max_length=128)]
"""An optional dimension or short identifier; the empty string is the same as absent."""
ModelName = Annotated[str, StringConstraints(min_length=1, max_length=256)]
ModelLabel = Annotated[str, StringConstraints(max_length=256)]
"""A model id; deployment paths and Bedrock ARNs are longer than other names."""
Identifier = Annotated[str, StringConstraints(max_length=256)]
"""An identifier made outside of the pipeline: response ids, conversation ids."""


def _refuse_key(value: str) -> str:
    if re.search(KEY_PATTERN, value):
        raise PydanticCustomError(
            "looks_like_a_key",
            "this looks like a key itself: give the id of the key, or 16 characters of a digest",
        )
    return value


REFUSE_KEY = AfterValidator(_refuse_key)
"""Refuses a text that looks like a credential."""
KeyId = Annotated[
    str,
    StringConstraints(max_length=128),
    REFUSE_KEY,
    Field(json_schema_extra={"not": {"pattern": KEY_PATTERN}}),
]
"""Which API key or credential was used: its id, never the key."""
ShortText = Annotated[str, StringConstraints(max_length=2048)]
TagKey = Annotated[str, StringConstraints(min_length=1, max_length=64)]
TagValue = Annotated[str, StringConstraints(max_length=256)]


def _whole(value: object) -> object:
    """Read 5.0 as 5: JSON has one kind of number, and some writers give every one a point."""
    is_whole = isinstance(value, float) and value.is_integer() and abs(value) <= 1 << 53
    return int(value) if is_whole and isinstance(value, float) else value


WHOLE = BeforeValidator(_whole)
"""Stands last in an annotation, so that the bounds before it are those of the JSON Schema too."""
EpochUs = Annotated[int, Field(ge=0, le=MAX_EPOCH_US), WHOLE]
"""Microseconds since 1970-01-01 UTC."""
DurationMs = Annotated[float, Field(ge=0, le=MAX_DURATION_MS, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, le=MAX_COUNT), WHOLE]
TokenCount = Annotated[int, Field(ge=0, le=MAX_TOKENS), WHOLE]
SmallCount = Annotated[int, Field(ge=0, le=1_000_000), WHOLE]
Port = Annotated[int, Field(ge=0, le=65_535), WHOLE]
PicoUsd = Annotated[int, Field(ge=0, le=MAX_PICO_USD), WHOLE]
"""Exact money: 1e-12 USD."""
Ratio = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
UnitAmount = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
Score = Annotated[float, Field(ge=-1e9, le=1e9, allow_inf_nan=False)]

Tags = Annotated[dict[TagKey, TagValue], Field(max_length=MAX_TAGS)]
OtherUnits = Annotated[dict[TagKey, UnitAmount], Field(max_length=MAX_TAGS)]
"""Billed units that are not tokens: pages, seconds, images, search_units."""
FinishReasons = Annotated[list[Label], Field(max_length=128)]
