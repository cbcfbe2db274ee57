"""Doing something to a module as soon as it is there: now, or right after its first import.

A finder in front of the others recognises the names it waits for, lets the others find the module,
and runs the action when the module's own code has run. Invariant: the import itself behaves as it
would without; whatever goes wrong in an action is logged and ends there.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from threading import get_ident
from types import ModuleType
from typing import Any

from tokentide.log import RareLog

Action = Callable[[Any], None]

_log = RareLog()


class ImportWatch:
    """Runs an action once for each module of a set, when it is imported or if it is already."""

    def __init__(self) -> None:
        self._waiting: dict[str, Action] = {}
        self._searching: set[tuple[int, str]] = set()

    def when_imported(self, name: str, action: Action) -> None:
        """Runs `action(module)` now or after the module's import."""
        self._waiting[name] = action
        self._try(name)
        if name in self._waiting and self not in sys.meta_path:
            sys.meta_path.insert(0, self)

    def stop(self) -> None:
        """Waits for nothing any more."""
        self._waiting.clear()
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Finds a module that is waited for through the other finders; called by `import`."""
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

        def exec_module(module: ModuleType) -> None:
            execute(module)
            self._act(name, module)

        # On this module's own loader object; a loader that takes no attributes is left alone.
        loader.exec_module = exec_module

    def _try(self, name: str) -> None:
        module = sys.modules.get(name)
        spec = getattr(module, "__spec__", None)
        if module is not None and not getattr(spec, "_initializing", False):
            self._act(name, module)

    def _act(self, name: str, module: ModuleType) -> None:
        action = self._waiting.pop(name, None)
        if action is None:
            return
        try:
            action(module)
        except Exception as exc:
            _log.note(f"patch.{name}", "calls of %s are not recorded: %r", name, exc)
