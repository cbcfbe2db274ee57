"""Replaced attributes of other people's classes, and their way back.

A class is patched once, and only where its layout is the expected one: what is not there is left
alone, so another version of a package loses events at worst. When somebody else has wrapped our
wrapper meanwhile it cannot be taken out; it stays and does nothing.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from typing import Any

_ABSENT = object()
_MARK = "__tokentide__"
"""Attribute of our wrappers: two of them on one function would count everything twice."""


class Patches:
    """What was replaced, so that it can be put back.

    Attributes:
        is_on: Whether wrappers are to do anything; off once they were asked to go.
    """

    __slots__ = ("_also", "_replaced", "is_on")

    def __init__(self) -> None:
        self.is_on = True
        self._replaced: list[tuple[Any, str, object, object]] = []
        self._also: list[Callable[[], None]] = []

    def wrap(
        self, owner: Any, name: str, make: Callable[[Callable[..., Any]], Callable[..., Any]]
    ) -> bool:
        """Replaces a function of a class or a module by what `make` makes of it.

        Returns:
            False when the owner has no such function, or one that is wrapped already.
        """
        original = getattr(owner, name, None)
        if not callable(original) or getattr(original, _MARK, False):
            return False
        own = vars(owner).get(name, _ABSENT)
        replacement = functools.wraps(original)(make(original))
        setattr(replacement, _MARK, True)
        setattr(owner, name, replacement)
        self._replaced.append((owner, name, own, replacement))
        return True

    def on_undo(self, action: Callable[[], None]) -> None:
        """Has something else done when the patches are undone."""
        self._also.append(action)

    def undo(self) -> None:
        """Puts back what was replaced, the latest first."""
        self.is_on = False
        while self._also:
            with contextlib.suppress(Exception):  # the host may have undone it by itself
                self._also.pop()()
        while self._replaced:
            owner, name, own, replacement = self._replaced.pop()
            if vars(owner).get(name) is not replacement:
                continue
            if own is _ABSENT:
                delattr(owner, name)
            else:
                setattr(owner, name, own)
