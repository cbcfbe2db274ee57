"""The name of this process, for tables that several processes write."""

from __future__ import annotations

import os
import socket

__all__ = ["process_name"]


def process_name() -> str:
    """Return `host:pid`."""
    return f"{socket.gethostname()}:{os.getpid()}"
