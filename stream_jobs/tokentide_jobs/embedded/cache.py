"""Where downloaded and derived files live that every clone and data directory may share."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["default_cache_dir"]


def default_cache_dir() -> Path:
    """`$XDG_CACHE_HOME/tokentide`, or `~/.cache/tokentide`; it may be deleted at any time.

    To prepare a machine without network, copy this directory from one that has run
    `tokentide up` once.
    """
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "tokentide"
