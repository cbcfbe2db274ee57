"""The part of chDB's connection that the endpoint uses; the engine publishes no types for it."""

from __future__ import annotations

from typing import Protocol


class EngineResult(Protocol):
    """A result, or a piece of one."""

    def bytes(self) -> bytes:
        """Return the formatted data; empty at a stream's end or when there is no result."""
        ...

    def size(self) -> int:
        """Return the length of the formatted data without copying it."""
        ...

    def rows_read(self) -> int:
        """Rows of the result (the engine's name for it notwithstanding)."""
        ...

    def bytes_read(self) -> int:
        """Bytes of the result in memory."""
        ...

    def storage_rows_read(self) -> int:
        """Rows read from storage."""
        ...

    def storage_bytes_read(self) -> int:
        """Bytes read from storage."""
        ...

    def rows_written(self) -> int:
        """Rows written, materialised views included."""
        ...

    def bytes_written(self) -> int:
        """Bytes written, materialised views included."""
        ...


class EngineConnection(Protocol):
    """A connection; one statement at a time; raises ENGINE_ERRORS with the engine's message."""

    def query(self, query_str: str | bytes, format: str) -> EngineResult:
        """Run a statement and format its whole result."""
        ...

    def send_query(self, query_str: str | bytes, format: str) -> object:
        """Start a streamed SELECT and return its handle."""
        ...

    def streaming_fetch_result(self, streaming_result: object) -> EngineResult | None:
        """Return the next piece; None or a piece without rows at the end."""
        ...

    def close(self) -> None:
        """Cancel what runs and free the connection."""
        ...
