"""One call, one event, when several layers see it: the client, its framework, the tracer.

The layers run in different threads and contexts, so they recognise a call by what travels with
it: the provider's response id, the span around it, or the exception. The first layer writes the
event, every other layer skips that call. Two calls in one layer are never taken for one, even where
a server gives every response the same id.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping

_GENERATION = 4096
"""Calls remembered in each of two generations."""
_MAX_NOTES = 64
"""Calls remembered under one id."""

_Notes = list[set[str]]


class SeenCalls:
    """What was recorded lately, and by which layers. Safe for threads; bounded.

    Attributes:
        is_watched: Whether any bridge exists; without one nothing needs to be remembered.
    """

    def __init__(self, generation: int = _GENERATION) -> None:
        self.is_watched = False
        self._generation = generation
        self._new: dict[str, _Notes] = {}
        self._old: dict[str, _Notes] = {}
        self._errors: dict[str, weakref.ref[BaseException]] = {}

    def is_first(self, layer: str, *keys: str, error: BaseException | None = None) -> bool:
        """Return whether no other layer has recorded this call; from now on this one has.

        A call that nothing identifies is taken for one that no other layer saw.

        Args:
            layer: The layer that asks: `client`, `langchain`, ...
            keys: What identifies the call, see `response_key` and `span_key`; "" is nothing.
            error: What the call raised; causes and contexts of it count as the same failure.
        """
        known = [key for key in keys if key]
        if error is not None and (key := self._error_key(error)):
            known.append(key)
        for key in known:
            for layers in self._new.get(key) or self._old.get(key) or ():
                if layer not in layers:
                    layers.add(layer)
                    return False
        note = {layer}
        for key in known:
            notes = self._new.get(key)
            if notes is None:
                if len(self._new) >= self._generation:
                    self._old, self._new = self._new, {}
                notes = self._new.setdefault(key, list(self._old.get(key) or ()))
            notes.append(note)
            del notes[:-_MAX_NOTES]
        return True

    def _error_key(self, error: BaseException) -> str:
        """Return a key for a failure: that of a wrapped exception which is known already."""
        link: BaseException | None = error
        for _depth in range(8):
            if link is None:
                break
            key = f"error {id(link)}"
            known = self._errors.get(key)
            if known is not None and known() is link:
                return key
            link = link.__cause__ or link.__context__
        key = f"error {id(error)}"
        try:
            # The reference does not keep the exception, whose traceback keeps the host's frames.
            self._errors[key] = weakref.ref(error, lambda _ref: self._forget(key))
        except TypeError:
            return ""  # a built-in exception: it cannot be recognised
        return key

    def _forget(self, key: str) -> None:
        """Drop a failure that is gone: its number may be given to another one."""
        self._errors.pop(key, None)
        self._new.pop(key, None)
        self._old.pop(key, None)


seen_calls = SeenCalls()
"""The one of this process."""


def response_key(event: Mapping[str, object]) -> str:
    """Return what identifies an event's response, "" when nothing does."""
    response_id = event.get("response_id")
    return f"response {response_id}" if type(response_id) is str and response_id else ""


def span_key(trace_id: object, span_id: object) -> str:
    """Return what identifies a span; a client's call has the span around it as its parent."""
    return f"span {trace_id} {span_id}" if trace_id and span_id else ""
