"""What is handed on at once of a fetch is a few megabytes, whatever the records are."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import KafkaError

from tokentide_jobs.io.kafka.bounded_poll import bounded_poll

_MIB = 1024 * 1024


class Fetched:
    """Records that were fetched, handed on in the order of partitions as aiokafka does."""

    def __init__(self, *sizes: int, is_heavy: bool = False, fails_at: int = -1) -> None:
        self.left = [SimpleNamespace(value=bytes(size) if size else None) for size in sizes]
        self.asked: list[tuple[float | None, int | None]] = []
        self.fails_at = fails_at
        held = SimpleNamespace(
            _partition_records=SimpleNamespace(_records=SimpleNamespace(is_heavy=is_heavy))
        )
        self.consumer = SimpleNamespace(_fetcher=SimpleNamespace(_records={0: held}))

    async def __call__(
        self,
        *,
        timeout: float | None,  # noqa: ASYNC109 -- that of aiokafka
        max_records: int | None,
    ) -> dict[Any, list[Any]]:
        if len(self.asked) == self.fails_at:
            self.fails_at = -1
            raise KafkaError("a batch is damaged")
        self.asked.append((timeout, max_records))
        taken, self.left = self.left[:max_records], self.left[max_records:]
        return {0: taken} if taken else {}

    async def poll(self, most: int | None = None) -> int:
        """How many records are handed on."""
        found = await bounded_poll(self.consumer, self, 1.0, most)
        return sum(map(len, found.values()))


async def test_large_records_are_handed_on_one_at_a_time() -> None:
    fetched = Fetched(*[8 * _MIB] * 3, is_heavy=True)
    assert [await fetched.poll() for _ in range(4)] == [1, 1, 1, 0]


async def test_frames_are_handed_on_until_they_are_some_megabytes() -> None:
    fetched = Fetched(*[150_000] * 100)
    assert await fetched.poll() == 64
    assert fetched.asked == [(1.0, 16), *[(0, 16)] * 3], "only the first ones are waited for"
    assert len(fetched.left) == 36


async def test_small_records_are_all_handed_on_as_far_as_they_are_wanted() -> None:
    assert await Fetched(*[700, 0] * 50).poll() == 100
    fetched = Fetched(*[700] * 50)
    assert (await fetched.poll(20), len(fetched.left)) == (20, 30)


async def test_what_was_taken_before_an_error_is_not_lost() -> None:
    fetched = Fetched(*[700] * 40, fails_at=1)
    assert (await fetched.poll(), len(fetched.left)) == (16, 24)
    assert (await fetched.poll(), len(fetched.left)) == (24, 0)
    with pytest.raises(KafkaError):
        await Fetched(700, fails_at=0).poll()
