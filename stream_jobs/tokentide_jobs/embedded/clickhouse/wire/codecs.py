"""HTTP content codings: incremental decoders for request bodies, encoders for responses.

Bodies may hold several frames one after the other (clickhouse-connect compresses each Native
block by itself); a decoder that stops after the first would lose rows without an error.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Final, Protocol

import cramjam
import lz4.frame
from backports import zstd

from ..exceptions import ClickHouseError

PIECE_BYTES: Final = 1 << 20
"""Most that one step of a decoder gives, however well the body was compressed."""

_GZIP_OR_ZLIB: Final = 32 + zlib.MAX_WBITS


class Decoder(Protocol):
    """Turns body bytes into data, piece by piece."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what ``data`` completes, in pieces of at most PIECE_BYTES."""
        ...

    def finish(self) -> bytes:
        """Return what is left; raises ClickHouseError 271 when the body ended too early."""
        ...


class Encoder(Protocol):
    """Turns response data into body bytes, piece by piece."""

    def feed(self, data: bytes | memoryview) -> bytes:
        """Return the next bytes of the body; may be empty."""
        ...

    def finish(self) -> bytes:
        """Return the last bytes of the body."""
        ...


class _Codec(Protocol):
    """What the decompressors of lz4 and zstd have in common."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    @property
    def needs_input(self) -> bool: ...

    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Zlib:
    """zlib's decompressor with the members the others have."""

    def __init__(self) -> None:
        self._codec = zlib.decompressobj(_GZIP_OR_ZLIB)

    @property
    def eof(self) -> bool:
        return self._codec.eof

    @property
    def unused_data(self) -> bytes:
        return self._codec.unused_data

    @property
    def needs_input(self) -> bool:
        return not self._codec.unconsumed_tail

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._codec.decompress(self._codec.unconsumed_tail + data, max_length)


class _FrameDecoder:
    """Any codec whose decompressor reports the end of a frame and the bytes after it."""

    def __init__(self, coding: str) -> None:
        self._coding = coding
        self._codec = self._new()
        self._open = False

    def _new(self) -> _Codec:
        if self._coding == "lz4":
            return lz4.frame.LZ4FrameDecompressor()  # type: ignore[no-any-return]  # untyped
        if self._coding == "zstd":
            return zstd.ZstdDecompressor()
        return _Zlib()

    def feed(self, data: bytes) -> Iterator[bytes]:
        while True:
            if self._codec.eof:
                if not data:
                    return
                self._codec = self._new()
            try:
                piece = self._codec.decompress(data, PIECE_BYTES)
            except (RuntimeError, zstd.ZstdError, zlib.error, EOFError) as exc:
                raise ClickHouseError(
                    271, f"Cannot decompress the request body ({self._coding}): {exc}"
                ) from exc
            self._open = not self._codec.eof
            if piece:
                yield piece
            data = (self._codec.unused_data or b"") if self._codec.eof else b""
            if not data and (self._codec.eof or (self._codec.needs_input and not piece)):
                return

    def finish(self) -> bytes:
        if self._open:
            raise ClickHouseError(271, f"The request body ends inside a {self._coding} frame")
        return b""


class _WholeDecoder:
    """Codecs that only work on the whole body (brotli, snappy)."""

    def __init__(self, coding: str) -> None:
        self._coding = coding
        self._parts: list[bytes] = []

    def feed(self, data: bytes) -> Iterator[bytes]:
        self._parts.append(data)
        return iter(())

    def finish(self) -> bytes:
        body = b"".join(self._parts)
        try:
            if self._coding == "br":
                return bytes(cramjam.brotli.decompress(body))
            return bytes(cramjam.snappy.decompress(body))
        except cramjam.DecompressionError as exc:
            raise ClickHouseError(
                271, f"Cannot decompress the request body ({self._coding}): {exc}"
            ) from exc


def decoder(coding: str, *, trusted: bool = True) -> Decoder | None:
    """Return the decoder of a Content-Encoding; None when the body is as it is.

    Args:
        coding: Value of the header.
        trusted: False when the body may be made to fill the memory: codings that can only be
            decoded whole are refused then.

    Raises:
        ClickHouseError: 89 for a coding the endpoint does not know.
    """
    name = coding.strip().lower()
    if name in ("", "identity"):
        return None
    if name in ("lz4", "zstd", "gzip", "x-gzip", "deflate"):
        return _FrameDecoder(name)
    if name in ("br", "snappy") and trusted:
        return _WholeDecoder(name)
    raise ClickHouseError(89, f"Unknown content encoding {coding!r} of the request body")


class _Lz4Encoder:
    def __init__(self) -> None:
        self._codec = lz4.frame.LZ4FrameCompressor()
        self._started = False

    def feed(self, data: bytes | memoryview) -> bytes:
        head = b"" if self._started else bytes(self._codec.begin())
        self._started = True
        return head + bytes(self._codec.compress(data))

    def finish(self) -> bytes:
        head = b"" if self._started else bytes(self._codec.begin())
        return head + bytes(self._codec.flush())


class _ZstdEncoder:
    def __init__(self) -> None:
        self._codec = zstd.ZstdCompressor(level=1)

    def feed(self, data: bytes | memoryview) -> bytes:
        return bytes(self._codec.compress(data))

    def finish(self) -> bytes:
        return bytes(self._codec.flush())


class _ZlibEncoder:
    def __init__(self, wbits: int) -> None:
        self._codec = zlib.compressobj(level=1, wbits=wbits)

    def feed(self, data: bytes | memoryview) -> bytes:
        return self._codec.compress(data)

    def finish(self) -> bytes:
        return self._codec.flush()


class _BrotliEncoder:
    def __init__(self) -> None:
        self._codec = cramjam.brotli.Compressor(level=1)

    def feed(self, data: bytes | memoryview) -> bytes:
        self._codec.compress(bytes(data))
        return bytes(self._codec.flush())

    def finish(self) -> bytes:
        return bytes(self._codec.finish())


_PREFERENCE: Final = ("zstd", "br", "lz4", "gzip", "deflate")
"""The server's order of choice among the codings a client accepts."""


def choose_coding(accept_encoding: str) -> str | None:
    """Choose the coding to answer with; None when the client accepts none that is known."""
    accepted = {
        name.strip().lower()
        for name, _, weight in (part.partition(";") for part in accept_encoding.split(","))
        if weight.replace(" ", "") not in ("q=0", "q=0.0")
    }
    return next((coding for coding in _PREFERENCE if coding in accepted), None)


def encoder(coding: str) -> Encoder:
    """Return the encoder of one of the codings choose_coding returns."""
    if coding == "lz4":
        return _Lz4Encoder()
    if coding == "zstd":
        return _ZstdEncoder()
    if coding == "br":
        return _BrotliEncoder()
    # RFC 9110: "deflate" is the zlib format, not a bare deflate stream.
    return _ZlibEncoder(16 + zlib.MAX_WBITS if coding == "gzip" else zlib.MAX_WBITS)
