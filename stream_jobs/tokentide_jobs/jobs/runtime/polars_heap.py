"""How soon polars gives memory back: set before polars is loaded, in the process of a worker alone.

Polars brings an allocator of its own, jemalloc, which keeps freed pages for a while, and then pages
that the system may take. One heavy batch would leave a worker at twice its size while the next one
comes. `malloc_trim` does not reach this heap.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Final

__all__ = ["VARIABLE", "give_back_soon"]

VARIABLE: Final = "_RJEM_MALLOC_CONF"
"""What that jemalloc reads when it is loaded. A value that is set already is kept."""

_SOON: Final = "dirty_decay_ms:100,muzzy_decay_ms:0"
"""No decay at all saves 20 MB more at the peak and takes a fifth more CPU for the same batches."""


def give_back_soon(environment: MutableMapping[str, str]) -> None:
    """Let polars give freed memory back after a tenth of a second.

    Args:
        environment: That of this process, before polars is imported.
    """
    environment.setdefault(VARIABLE, _SOON)
