"""Arrow tables as the bytes that ClickHouse and consumers take.

Apart from what makes the tables, so that a command that only asks the database never loads polars.
"""

from __future__ import annotations

import pyarrow as pa

__all__ = ["to_ipc"]


def to_ipc(rows: pa.Table, *, compress: bool) -> memoryview:
    """Serialise as one Arrow stream; `compress` packs every buffer with LZ4.

    Each buffer is packed by itself: for a wide table of few rows that costs milliseconds. A view,
    because bytes would be a copy, and the client copies bytes once more to put its statement first.
    """
    if compress:
        sink = pa.BufferOutputStream()
        _write(rows, sink, "lz4")
        return memoryview(sink.getvalue())
    # Measured first, which copies nothing: a buffer that grows takes up to twice what it holds.
    measured = pa.MockOutputStream()
    _write(rows, measured, None)
    stream = pa.allocate_buffer(measured.size())
    _write(rows, pa.FixedSizeBufferWriter(stream), None)
    return memoryview(stream)


def _write(rows: pa.Table, sink: pa.NativeFile, compression: str | None) -> None:
    options = pa.ipc.IpcWriteOptions(compression=compression, use_threads=False)
    with pa.ipc.new_stream(sink, rows.schema, options=options) as writer:
        writer.write_table(rows)
