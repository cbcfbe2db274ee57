"""What costs money and is not recorded: logged once, where a client comes past it.

The list for readers is in docs/producer.md. Without it a service would take silence for zero.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from tokentide.instrument.patching import Action, Patches
from tokentide.log import logger

_logged: set[str] = set()
_MAX_LOGGED = 256


def note_unrecorded(what: str, client: str) -> None:
    """Log once in this process that calls of a kind are not recorded.

    Args:
        what: The calls, in the plural.
        client: The client or service they belong to.
    """
    text = f"{what} of {client}"
    if text in _logged or len(_logged) >= _MAX_LOGGED:
        return
    _logged.add(text)
    logger.warning("%s: their cost is not recorded; see docs/producer.md", text)


class Unrecorded(NamedTuple):
    """Methods that cost money and are not recorded: where they are, and what they do."""

    module: str
    classes: tuple[str, ...]
    methods: tuple[str, ...]
    what: str


def counting_patches(
    table: Iterable[Unrecorded], client: str, patches: Patches
) -> dict[str, Action]:
    """Return what to do to which module, so that the methods of a table are noted when called."""
    by_module: dict[str, list[Unrecorded]] = {}
    for entry in table:
        by_module.setdefault(entry.module, []).append(entry)

    def action(entries: list[Unrecorded]) -> Action:
        return lambda module: note_calls(module, entries, client, patches)

    return {name: action(entries) for name, entries in by_module.items()}


def note_calls(module: Any, entries: Iterable[Unrecorded], client: str, patches: Patches) -> None:
    """Note the calls of methods of one module; what this version does not have is passed by."""
    for entry in entries:
        for kind in entry.classes:
            owner = getattr(module, kind, None)
            for method in entry.methods:
                if owner is not None and method in vars(owner):
                    patches.wrap(owner, method, noting(entry.what, client))


def noting(what: str, client: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return what wraps a function whose calls are not recorded; it does the same, and logs it."""

    def make(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            note_unrecorded(what, client)
            return original(*args, **kwargs)

        return call

    return make
