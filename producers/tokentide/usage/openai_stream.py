"""A stream of OpenAI chat chunks, read in passing.

`add` runs once per chunk on the host's thread, so a chunk that only carries text is recognised by
a handful of attribute reads. Kept are counters, finish reasons, and the last usage object; of what
the model wrote, nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tokentide.usage.openai_parts import (
    UsageReader,
    add_native,
    error_fields,
    identity_fields,
    usage_of,
)
from tokentide.usage.reading import (
    MAX_REASONS,
    NOTHING_READ,
    Fields,
    Get,
    cut_off,
    finish_fields,
    getter,
    items,
    label,
    usage_fields,
)

_MAX_TOOL_CALLS = 4096
"""Tool calls counted in one stream; further ones are not."""
_ENDS = (".done", ".completed")
"""How the types of events end that end a stream of speech or pictures."""
_MAX_SEARCHED = 8
"""Chunks searched for the model's name, which Azure leaves out of the first."""


class ChatStream:
    """Implements `StreamReading` for chat chunks, as SDK objects or parsed JSON."""

    __slots__ = (
        "_call_ids",
        "_call_indexes",
        "_error",
        "_identity",
        "_is_known",
        "_native",
        "_read_usage",
        "_reasons",
        "_refused",
        "_searched",
        "_usage",
    )

    def __init__(self, read_usage: UsageReader) -> None:
        self._read_usage = read_usage
        self._identity: Fields = {}
        self._is_known = False
        self._searched = 0
        self._usage: object = None
        self._error: object = None
        self._reasons: dict[int, str] = {}
        self._refused: set[int] = set()
        self._native: list[str] = []
        self._call_ids: set[str] = set()
        self._call_indexes: set[tuple[int, int]] = set()

    def add(self, chunk: Any) -> None:
        """Look at one chunk."""
        if self._is_known:
            # The way of nearly every chunk. Whatever is unusual raises, or is looked at below.
            try:
                if type(chunk) is dict:
                    if chunk.get("usage") is None:
                        [choice] = chunk["choices"]
                        if choice.get("finish_reason") is None and choice["delta"].get("content"):
                            return
                else:
                    usage = chunk.usage
                    if usage is not None:
                        # Cumulative where it comes more than once (vLLM): the last one holds.
                        self._usage = usage
                    [choice] = chunk.choices
                    if choice.finish_reason is None:
                        delta = choice.delta
                        if delta.content:
                            return
                        calls = delta.tool_calls
                        if calls is None:
                            if delta.refusal is None and delta.function_call is None:
                                return
                        elif self._call_ids:
                            [call] = calls
                            if call.id is None:
                                return  # a further piece of a call that is counted already
            except Exception:  # noqa: S110 - looked at again below, with every read guarded
                pass
        try:
            self._look(getter(chunk))
        except Exception:
            return  # a chunk that cannot be read is skipped

    def _look(self, get: Get) -> None:
        identity = identity_fields(get)
        if identity:
            self._identity.update(identity)
        self._searched += 1
        self._is_known = "response_model" in self._identity or self._searched >= _MAX_SEARCHED
        usage = usage_of(get)
        if usage is not None:
            self._usage = usage
        error = get("error")
        if error is not None:
            self._error = error
        for choice in items(get("choices"), MAX_REASONS):
            self._look_at_choice(getter(choice))

    def _look_at_choice(self, get: Get) -> None:
        index = get("index")
        number = index if type(index) is int else 0
        reason = label(get("finish_reason"))
        if reason is not None and len(self._reasons) < MAX_REASONS:
            self._reasons[number] = reason
            native = label(get("native_finish_reason"))
            if native is not None and len(self._native) < MAX_REASONS:
                self._native.append(native)
            if self._error is None:
                self._error = get("error")
            usage = get("usage")  # Moonshot's place for it
            if usage is not None and self._usage is None:
                self._usage = usage
        delta = getter(get("delta"))
        if label(delta("refusal")) is not None and len(self._refused) < MAX_REASONS:
            self._refused.add(number)
        if delta("function_call") is not None:
            self._note_call(number, -1, None)
        for call in items(delta("tool_calls")):
            of_call = getter(call)
            self._note_call(number, of_call("index"), label(of_call("id")))

    def _note_call(self, choice: int, index: object, call_id: str | None) -> None:
        # A call comes in pieces: the first carries its id, the others repeat its index.
        if call_id is not None:
            if len(self._call_ids) < _MAX_TOOL_CALLS:
                self._call_ids.add(call_id)
        elif type(index) is int and len(self._call_indexes) < _MAX_TOOL_CALLS:
            self._call_indexes.add((choice, index))

    def fields(self) -> Fields:
        """Return the event fields of what has arrived so far."""
        try:
            return self._fields()
        except Exception:
            return dict(NOTHING_READ)

    def _fields(self) -> Fields:
        fields = dict(self._identity)
        fields.update(usage_fields(self._read_usage(self._usage)))
        if self._searched:
            fields["tool_calls_count"] = len(self._call_ids) or len(self._call_indexes)
        reasons: dict[int, str] = dict(self._reasons)
        reasons.update(dict.fromkeys(self._refused, "refusal"))
        fields.update(finish_fields(list(reasons.values())) if reasons else cut_off())
        add_native(fields, self._native)
        fields.update(error_fields(self._error))
        return fields


class LastChunk:
    """Implements `StreamReading` where one chunk of the stream says everything about it."""

    __slots__ = ("_fields", "_read_response")

    def __init__(self, read_response: Callable[[object], Fields]) -> None:
        self._read_response = read_response
        self._fields: Fields = {**NOTHING_READ, **cut_off()}

    def add(self, chunk: object) -> None:
        """Read a chunk that carries usage or says that it is the last, and pass over all others."""
        try:
            get = getter(chunk)
            if get("type") is None and get("data") is not None:  # Mistral's events hold their data
                chunk = get("data")
                get = getter(chunk)
            is_last = (label(get("type")) or "").endswith(_ENDS)
            if is_last or get("usage") is not None or get("error") is not None:
                self._fields = self._read_response(chunk)
        except Exception:  # noqa: S110 - a chunk that cannot be read is skipped
            pass

    def fields(self) -> Fields:
        """Return the event fields of what has arrived so far."""
        return dict(self._fields)
