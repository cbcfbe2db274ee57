"""The name of this process and of who runs it, for tables that several processes write."""

from __future__ import annotations

import getpass
import os
import socket

__all__ = ["acting_account", "process_name"]


def process_name() -> str:
    """Return `host:pid`."""
    return f"{socket.gethostname()}:{os.getpid()}"


def acting_account() -> str:
    """Return `account@host`; the number of the account where it has no name."""
    try:
        account = getpass.getuser()
    except (KeyError, OSError):  # a container may run under a number that no file names
        account = str(os.getuid())
    return f"{account}@{socket.gethostname()}"
