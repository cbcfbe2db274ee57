"""The fields of events as the SDK's callers type them: the text of `tokentide.fields`.

One `TypedDict` for every place where fields are given by name, so that type checkers find a name or
a word that the contract does not know, and editors complete those it knows. A field that a place
takes as a parameter of its own, or sets itself, is not in its `TypedDict`.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import NoneType
from typing import Any, Final, Literal, get_args, get_origin

from pydantic import BaseModel

from tokentide_schemas import events
from tokentide_schemas.events import (
    USAGE_FIELDS,
    BaseEvent,
    ChangeEvent,
    EvaluationEvent,
    FeedbackEvent,
    RequestEvent,
)

WORDS: Final = ("Status", "UsageSource", "Processing", "ChangeKind", "Evaluator")
"""Lists of words, by their names in `tokentide_schemas.events`."""

OF_THE_PRODUCER: Final = frozenset(
    {"type", "schema_version", "sdk_name", "sdk_version", "pid", "dropped_before", "seq"}
)
"""What the producer alone sets."""
MEASURED: Final = frozenset({"event_id", "started_at_us", "duration_ms"})
"""What a recorder sets itself."""
OF_A_CONTEXT: Final = (
    "service",
    "environment",
    "user_hash",
    "host",
    "trace_id",
    "span_id",
    "parent_span_id",
    "sample_rate",
    "upstream_provider",
    "server_address",
    "server_port",
    "region",
    "agent_id",
    "agent_name",
    "agent_version",
    "parent_agent_name",
    "parent_run_id",
    "workflow_name",
    "skill",
    "tool_call_id",
    "tool_name",
    "tool_type",
    "mcp_server",
    "key_id",
    "service_tier_requested",
    "processing",
)
"""What may hold for every call inside a block; never what one call measures or answers."""

_HEAD: Final = '''\
"""Names and types of the fields of events, for type checkers, editors and typed code of your own.

    from tokentide.fields import RequestFields

Generated from the event models by `python -m tokentide_schemas.sdk_contract`; do not edit. The
producer itself imports nothing of this at run time.
"""

from __future__ import annotations

from typing import Literal, TypedDict

'''


def text() -> str:
    """Return the text of the SDK's module."""
    base = [name for name in BaseEvent.model_fields if name not in OF_THE_PRODUCER | MEASURED]
    asked = ("provider", "request_model", "operation")
    request = [
        name
        for name in RequestEvent.model_fields
        if name not in {*BaseEvent.model_fields, *OF_THE_PRODUCER, *MEASURED, *asked}
    ]
    verdict = {"name", "score", "label", "target_event_id"}
    change = {"kind", "subject", "from_version", "to_version"}
    details = [name for name in USAGE_FIELDS if name not in ("input_tokens", "output_tokens")]
    sections = (
        *(_words(name) for name in WORDS),
        _typed_dict("EventFields", "Fields that every event may carry.", BaseEvent, base, _USER),
        _typed_dict("RequestFields(EventFields)", "Of `Telemetry.request`.", RequestEvent, request),
        _typed_dict("CallFields(RequestFields)", "Of `Recorder.set`.", RequestEvent, asked),
        _typed_dict("UsageFields", "Of `Recorder.record_usage`.", RequestEvent, details),
        _typed_dict("ContextFields", "Of `tokentide.context`.", RequestEvent, OF_A_CONTEXT),
        _own("EvaluationFields", "Of `Telemetry.evaluation`.", EvaluationEvent, verdict),
        _own("FeedbackFields", "Of `Telemetry.feedback`.", FeedbackEvent, verdict),
        _own("ChangeFields", "Of `Telemetry.change`.", ChangeEvent, change),
    )
    return "".join((_HEAD, *sections))


_USER: Final = "    user: object\n"
"""Only a keyed hash of it leaves the process, so it is no field of the contract."""
_WHEN: Final = ("event_id", "started_at_us")


def _own(name: str, doc: str, model: type[BaseModel], asked: set[str]) -> str:
    """Return the fields of an event that is no call: it is not measured, so its time may be given.

    Args:
        name: Name of the class.
        doc: Its docstring.
        model: The event's model.
        asked: What the function takes as parameters of its own.
    """
    others = {*BaseEvent.model_fields, *OF_THE_PRODUCER, *asked}
    names = [name for name in model.model_fields if name not in others]
    return _typed_dict(f"{name}(EventFields)", doc, model, [*_WHEN, *names])


def _typed_dict(
    name: str, doc: str, model: type[BaseModel], names: Iterable[str], more: str = ""
) -> str:
    head = f"{name[:-1]}, total=False)" if "(" in name else f"{name}(TypedDict, total=False)"
    lines = "".join(f"    {one}: {_type(model.model_fields[one].annotation)}\n" for one in names)
    return f'\n\nclass {head}:\n    """{doc}"""\n\n{lines}{more}'


def _words(name: str) -> str:
    words = ", ".join(f'"{word}"' for word in get_args(getattr(events, name)))
    return f"{name} = Literal[{words}]\n"


def _type(annotation: Any) -> str:
    """Return an annotation of the contract without its bounds, which no type checker knows."""
    named = next((name for name in WORDS if getattr(events, name) == annotation), None)
    if named is not None:
        return named
    if annotation is NoneType:
        return "None"
    if hasattr(annotation, "__metadata__"):
        return _type(annotation.__origin__)
    origin, members = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        raise ValueError(f"{annotation} has no name in WORDS")
    if origin in (dict, list):
        return f"{origin.__name__}[{', '.join(map(_type, members))}]"
    if members:  # of a union
        return " | ".join(map(_type, members))
    return str(annotation.__name__)
