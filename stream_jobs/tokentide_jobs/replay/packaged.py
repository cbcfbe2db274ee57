"""The traces that come with the package, and the opening of any trace by name or path.

`mixed`, the default, lays three recordings over one hour: the Azure arrivals as chat calls, Claude
Code sessions as agents, and ServeGen clients as reasoning traffic of a self-hosted model.
"""

from __future__ import annotations

import heapq
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tokentide_jobs.errors import ConfigError
from tokentide_jobs.replay.formats import azure, claude_code, servegen
from tokentide_jobs.replay.formats.trace import RecordedCall, Trace, open_text

__all__ = ["AZURE", "DATA", "PACKAGED", "open_trace"]

DATA: Final = Path(__file__).resolve().parent / "data"

PACKAGED: Final[dict[str, str]] = {
    "mixed": "one hour of the three below together (default)",
    "azure": "58 minutes of a production chat service, 19,366 calls",
    "sessions": "226 agent sessions, 15,389 calls",
    "servegen": "24 hours of 8 clients of a reasoning model",
}
"""Names that `tokentide replay` takes instead of a path."""

AZURE = DATA / "azure_2023_conv.csv.gz"
_SESSIONS = DATA / "claude_code_sessions.csv.gz"
_SERVEGEN = DATA / "servegen_deepseek_r1_8_clients.tar.gz"
_SERVEGEN_HOUR: Final = 13
"""Hour of the recorded day laid over `mixed`: all eight clients are active."""
_MIXED_SPAN_S: Final = 3_501.0
"""Length of the Azure recording."""


def open_trace(name: str, seed: int) -> Trace:
    """Return the trace of that name, or of the file or folder at that path.

    Args:
        name: One of `PACKAGED`, or a path; formats are recognised by content, not by name.
        seed: Decides what the readers draw (session starts, ServeGen arrivals).

    Raises:
        ConfigError: There is no such trace, or its format is unknown.
    """
    if name == "mixed":
        return _mixed(seed)
    packaged = {"azure": AZURE, "sessions": _SESSIONS, "servegen": _SERVEGEN}.get(name)
    path = packaged or Path(name)
    if not path.exists():
        raise ConfigError(
            f"{name}: no such file, and no packaged trace: use a path or one of "
            f"{', '.join(PACKAGED)}"
        )
    if path.is_dir() or tarfile.is_tarfile(path):
        return _servegen(name, path, seed)
    header = _header(path)
    if header == azure.COLUMNS:
        return _azure(name, path)
    if header == claude_code.COLUMNS:
        return _sessions(name, path, seed)
    raise ConfigError(
        f"{name}: unknown columns {', '.join(header)[:120]!r}: expected the Azure 2023 CSV "
        f"({', '.join(azure.COLUMNS)}), the Claude Code sessions CSV (session, agent, …) or a tar "
        "of ServeGen clients (chunk-N-trace.csv)"
    )


def _azure(name: str, path: Path) -> Trace:
    return Trace(name, (azure.SOURCE,), azure.RECORDED, (), lambda: azure.read(path))


def _sessions(name: str, path: Path, seed: int) -> Trace:
    return Trace(
        name,
        (claude_code.SOURCE,),
        claude_code.RECORDED,
        claude_code.JOINED,
        lambda: claude_code.read(path, seed),
    )


def _servegen(name: str, path: Path, seed: int) -> Trace:
    clients = servegen.load(path)
    joined: tuple[str, ...] = servegen.JOINED
    fallback: list[tuple[int, int]] = []
    sources = [servegen.SOURCE]
    if not all(client.tokens for client in clients):
        fallback = [(call.input_tokens, call.output_tokens) for call in azure.read(AZURE)]
        sources.append(azure.SOURCE)
        joined = (*joined, "tokens of clients recorded without any: drawn from Azure 2023")
    return Trace(
        name,
        tuple(sources),
        servegen.RECORDED,
        joined,
        lambda: servegen.sample(clients, seed, fallback=fallback),
    )


def _mixed(seed: int) -> Trace:
    clients = servegen.load(_SERVEGEN)

    def calls() -> Iterator[RecordedCall]:
        return heapq.merge(
            azure.read(AZURE),
            claude_code.read(_SESSIONS, seed, _MIXED_SPAN_S),
            servegen.sample(clients, seed, from_s=_SERVEGEN_HOUR * 3600.0, span_s=_MIXED_SPAN_S),
            key=lambda call: call.at_s,
        )

    return Trace(
        "mixed",
        (azure.SOURCE, claude_code.SOURCE, servegen.SOURCE),
        (*azure.RECORDED, *claude_code.RECORDED, *servegen.RECORDED),
        (*claude_code.JOINED, *servegen.JOINED),
        calls,
    )


def _header(path: Path) -> tuple[str, ...]:
    try:
        with open_text(path) as file:
            return tuple(file.readline(4_096).strip().split(","))
    except (UnicodeDecodeError, EOFError, OSError) as exc:
        raise ConfigError(f"{path}: not a text file that can be read: {exc}") from exc
