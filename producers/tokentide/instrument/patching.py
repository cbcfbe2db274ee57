"""Other people's classes, patched as soon as they are imported, and put back.

A class is patched once, and only where its layout is the expected one: what is not there is left
alone, so another version of a package loses events at worst. Invariant: an import behaves as it
would without us; whatever goes wrong in an action that waits for it is logged and ends there.
"""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from threading import get_ident
from types import ModuleType
from typing import Any

from tokentide.log import RateLimitedLog

Action = Callable[[Any], None]
"""What to do to a module of a client's package, once it is imported."""

_log = RateLimitedLog()

_ABSENT = object()
_MARK = "__tokentide__"
"""Attribute of our wrappers: two of them on one function would count everything twice."""


class Patches:
    """What was replaced, so that it can be put back.

    When another library has wrapped our wrapper meanwhile it cannot be taken out; it stays and
    does nothing.

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
        """Replace a function of a class or a module by what `make` makes of it.

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
        """Have something else done when the patches are undone."""
        self._also.append(action)

    def undo(self) -> None:
        """Put back what was replaced, the latest first."""
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


class ImportWatch:
    """Runs an action for each module of a set, whenever it is imported and if it is already.

    A module that is imported again, by a reload or because it was thrown out, has new classes: the
    action runs again for them.

    As a finder in front of the others it recognises the names it waits for, lets the others find
    the module, and runs the action when the module's own code has run.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, Action] = {}
        self._searching: set[tuple[int, str]] = set()

    def when_imported(self, name: str, action: Action) -> None:
        """Run `action(module)` now or after the module's import."""
        self._waiting[name] = action
        self._try(name)
        if self not in sys.meta_path:
            sys.meta_path.insert(0, self)

    def stop(self) -> None:
        """Wait for nothing any more."""
        self._waiting.clear()
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a module that is waited for through the other finders; called by `import`."""
        if name not in self._waiting:
            return None
        mark = (get_ident(), name)
        if mark in self._searching:
            return None  # asked by ourselves, just below
        self._searching.add(mark)
        try:
            spec = find_spec(name)
            if spec is not None and spec.loader is not None:
                self._follow(name, spec.loader)
        except (ImportError, AttributeError, ValueError):
            return None  # the other finders will say so themselves
        finally:
            self._searching.discard(mark)
        return spec

    def _follow(self, name: str, loader: Any) -> None:
        execute = loader.exec_module
        if getattr(execute, _MARK, False):
            return  # a reload finds the loader of the first import

        def exec_module(module: ModuleType) -> None:
            execute(module)
            self._act(name, module)

        setattr(exec_module, _MARK, True)
        # On this module's own loader object; a loader that takes no attributes is left alone.
        loader.exec_module = exec_module

    def _try(self, name: str) -> None:
        module = sys.modules.get(name)
        spec = getattr(module, "__spec__", None)
        if module is not None and not getattr(spec, "_initializing", False):
            self._act(name, module)

    def _act(self, name: str, module: ModuleType) -> None:
        action = self._waiting.get(name)
        if action is None:
            return
        try:
            action(module)
        except Exception as exc:
            _log.report(f"patch.{name}", "calls of %s are not recorded: %r", name, exc)
