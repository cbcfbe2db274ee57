"""Which spans are calls of a model: what is none is left out by name, the rest by what it carries.

Instrumentations make up names of operations faster than any list grows. So a span with tokens and a
provider or a model is a call whatever it calls itself, unless it is known to sum up other calls.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from tokentide.semconv.attributes import BY_ATTRIBUTE, COUNT_FIELDS
from tokentide.semconv.names import (
    AGENT_HOSTS,
    CODING_AGENTS,
    MODELS,
    NO_CALLS,
    OPENINFERENCE_OPERATIONS,
    OPENINFERENCE_PARENTS,
    OPERATIONS,
    PARENT_KINDS,
    PROVIDER,
)
from tokentide.semconv.span import Attributes, SpanData
from tokentide.usage.reading import label

_COUNTS: Final = frozenset(
    attribute for attribute, entry in BY_ATTRIBUTE.items() if entry[0] in COUNT_FIELDS
)
_NAMES: Final = frozenset({*MODELS, *(source.attribute for source in PROVIDER)})
_OPERATION_NAMES: Final = ("gen_ai.operation.name", "llm.request.type")
_REMOTE_AGENT: Final = "invoke_agent"


class Reading(NamedTuple):
    """What a span is.

    Attributes:
        operation: What was called; None: it is no call of a model.
        is_stated: A known name says that it is a call. Else its tokens alone do, and they may be
            the sum of calls inside it: where there is one, it is the call and this is none.
        has_tokens: It carries token counts.
        is_uncertain: It is an agent at an address that is no provider's: another process may trace
            its calls of models in records of their own.
    """

    operation: str | None
    is_stated: bool
    has_tokens: bool
    is_uncertain: bool = False


def reading_of(span: SpanData) -> Reading:
    """Return what a span is, judged by the span alone."""
    has_tokens = not _COUNTS.isdisjoint(reported_by(span))
    operation, is_stated = _operation(span)
    if not is_stated and not (has_tokens and not _NAMES.isdisjoint(span.attributes)):
        operation = None
    is_uncertain = operation == _REMOTE_AGENT and not _is_at_a_provider(span)
    return Reading(operation, is_stated and operation is not None, has_tokens, is_uncertain)


def reported_by(span: SpanData) -> Attributes:
    """Return the attributes of a span, and its token counts where only an event of it has them.

    Of several events the last one counts: counts that are reported repeatedly grow.
    """
    attributes = span.attributes
    if not span.events or not _COUNTS.isdisjoint(attributes):
        return attributes
    for event in reversed(span.events):
        counts = {name: event.attributes[name] for name in _COUNTS & event.attributes.keys()}
        if counts:
            return {**attributes, **counts}
    return attributes


def _operation(span: SpanData) -> tuple[str | None, bool]:
    """Return the operation that a span would be a call by, and whether a known name says so.

    No operation: it is known to be no call.
    """
    attributes = span.attributes
    if span.kind in ("server", "producer", "consumer"):
        return None, False  # a gateway or a model server: its client's span is the call
    if span.scope.startswith(CODING_AGENTS):
        return None, False  # these report each call as a log record, and it is read there
    if label(attributes.get("traceloop.span.kind")) in PARENT_KINDS:
        return None, False
    kind = label(attributes.get("openinference.span.kind"))
    if kind is not None:
        known = OPENINFERENCE_OPERATIONS.get(kind.upper())
        other = None if kind.upper() in OPENINFERENCE_PARENTS else kind.lower()
        return known or other, known is not None
    for name in _OPERATION_NAMES:
        stated = (label(attributes.get(name)) or "").strip().lower()
        if stated:
            known = OPERATIONS.get(stated)
            # An agent of kind CLIENT runs somewhere else; others are INTERNAL by the conventions.
            is_remote = stated == _REMOTE_AGENT and span.kind == "client"
            is_parent = stated in NO_CALLS and not is_remote
            return known or (None if is_parent else stated), known is not None
    # Before v1.27 no attribute named the operation.
    return ("embeddings" if "embed" in span.name.lower() else "chat"), False


def _is_at_a_provider(span: SpanData) -> bool:
    """Return whether an agent runs at a provider, whose own calls of models are not traced."""
    host = label(span.attributes.get("server.address"), 256)
    return host is not None and _is_agent_host(host.lower())


def _is_agent_host(host: str) -> bool:
    if host.startswith("bedrock"):
        return host.endswith((".amazonaws.com", ".api.aws"))
    # Google puts the region before the name with a hyphen.
    return any(host == end or host.endswith((f".{end}", f"-{end}")) for end in AGENT_HOSTS)
