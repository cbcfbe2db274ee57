"""Loopback ports: pick free ones, and say who holds one that is not.

A port is taken before anything is started, so that `up` fails with one clear line instead of a
stack trace in some log. It must be free again when a server that died is started again, so none is
picked that the kernel gives to the next client that connects anywhere.
"""

from __future__ import annotations

import secrets
import socket
from typing import Final

import psutil

from tokentide_jobs.errors import StackError

__all__ = ["choose_port", "is_free", "port_holder"]

LOOPBACK = "127.0.0.1"
_NEVER_OF_CLIENTS: Final = range(20_000, 32_768)
"""Kernels give ports from 32768 (Linux) or 49152 on to clients, and where port 0 is asked for."""
_ATTEMPTS: Final = 100


def choose_port(wanted: int, option: str) -> int:
    """Return the wanted port, or a free one for 0.

    Raises:
        StackError: The wanted port is taken; the message names the holder where it can be seen.
    """
    if wanted == 0:
        for _attempt in range(_ATTEMPTS):
            if is_free(port := secrets.choice(_NEVER_OF_CLIENTS)):
                return port
        with socket.socket() as probe:
            probe.bind((LOOPBACK, 0))
            return int(probe.getsockname()[1])
    if not is_free(wanted):
        holder = port_holder(wanted)
        by = f" by {holder}" if holder else ""
        raise StackError(
            f"port {wanted} ({option}) is taken{by}: "
            f"name another one, or {option} 0 to use any free port"
        )
    return wanted


def is_free(port: int) -> bool:
    """Tell whether a server could listen on this port of 127.0.0.1 now."""
    with socket.socket() as probe:
        # Connections of an earlier server that linger in TIME_WAIT do not block a new one.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def port_holder(port: int) -> str | None:
    """Return `name (pid 123)` of the process that listens on the port, None: it is hidden."""
    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.Error:
        return None
    for connection in connections:
        if connection.status != psutil.CONN_LISTEN or not connection.laddr:
            continue
        if connection.laddr.port == port and connection.pid is not None:
            try:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
            except psutil.Error:
                return f"pid {connection.pid}"
    return None
