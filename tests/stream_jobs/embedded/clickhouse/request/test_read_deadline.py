"""A request is read as long as it comes: a pause, or a drip, takes no place for ever."""

from __future__ import annotations

import asyncio

import pytest

from tokentide_jobs.embedded.clickhouse.exceptions import ClickHouseError
from tokentide_jobs.embedded.clickhouse.request.read_deadline import ReadDeadline


class Client:
    """Sends pieces of a body, each after a pause on a clock of its own."""

    def __init__(self, pause_s: float, piece: bytes) -> None:
        self.now_s = 0.0
        self.pause_s = pause_s
        self.piece = piece

    def clock(self) -> float:
        return self.now_s

    async def send(self) -> bytes:
        self.now_s += self.pause_s
        return self.piece

    async def read(self, pieces: int, meanwhile_s: float = 0.0) -> float:
        """Read so many pieces, with time between for other work; returns the seconds it took."""
        deadline = ReadDeadline(30.0, "the request body", self.clock)
        for _piece in range(pieces):
            await deadline.read(self.send(), len)
            self.now_s += meanwhile_s
        return self.now_s


async def test_a_byte_now_and_then_is_given_up_after_the_second_pause() -> None:
    client = Client(29.0, b"x")
    with pytest.raises(ClickHouseError, match="less than 500 bytes a second") as refused:
        await client.read(100)
    assert refused.value.code == 209
    assert client.now_s == 58.0


async def test_what_came_before_buys_no_hours_for_a_drip() -> None:
    client = Client(0.0, bytes(64 << 20))
    deadline = ReadDeadline(30.0, "a form", client.clock)
    await deadline.read(client.send(), len)
    client.pause_s, client.piece = 29.0, b"x"
    with pytest.raises(ClickHouseError):
        for _byte in range(100):
            await deadline.read(client.send(), len)
    assert client.now_s == 58.0


async def test_a_slow_line_is_read_to_its_end_however_long_that_takes() -> None:
    assert await Client(1.0, bytes(600)).read(7_200) == 7_200


async def test_time_in_which_no_read_waits_for_the_client_is_not_counted() -> None:
    assert await Client(1.0, b"x").read(20, meanwhile_s=1_000.0) == 20_020


async def test_a_client_that_sends_nothing_is_given_up() -> None:
    with pytest.raises(ClickHouseError, match="Timeout exceeded while reading a form"):
        await ReadDeadline(0.01, "a form").read(asyncio.Event().wait(), lambda _none: 0)
