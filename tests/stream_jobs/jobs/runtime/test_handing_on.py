"""What was fetched reaches the agent in order, and nothing of it during a rebalance."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import ConsumerStoppedError
from faust.types import TP

from tests.stream_jobs.jobs.runtime.test_pauses import consuming

PARTITION = TP("tokentide.events.v1", 0)


Hand = Callable[[int], Awaitable[None]]


def fetching(consumer: Any, hand: Hand, *fetches: list[int]) -> SimpleNamespace:
    """Let a consumer fetch these, one after the other; what drives it stops behind the last."""
    left = list(fetches)
    fetcher = SimpleNamespace(should_stop=False)

    async def getmany(timeout: float) -> AsyncIterator[tuple[TP, int]]:  # noqa: ASYNC109 -- Faust's
        assert timeout == 1.0
        for message in left.pop(0):
            yield PARTITION, message
        fetcher.should_stop = not left

    consumer.getmany, consumer.callback = getmany, hand
    return fetcher


async def test_records_are_handed_on_in_order_and_tasks_do_not_grow_with_them() -> None:
    handed: list[int] = []
    tasks: list[str] = []

    def counted(loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> asyncio.Task[Any]:
        tasks.append(repr(work))
        return asyncio.Task(work, loop=loop, **options)

    async def hand(message: int) -> None:
        handed.append(message)

    with consuming() as consumer:
        fetcher = fetching(consumer, hand, list(range(500)), [], [500])
        asyncio.get_running_loop().set_task_factory(counted)
        await consumer._drain_messages(fetcher)
    assert handed == list(range(501))
    assert len(tasks) < 20


async def test_the_agent_takes_records_meanwhile_so_that_its_buffer_does_not_fill() -> None:
    buffer: asyncio.Queue[int] = asyncio.Queue()
    longest = 0

    async def hand(message: int) -> None:
        nonlocal longest
        buffer.put_nowait(message)
        longest = max(longest, buffer.qsize())

    async def agent() -> None:
        while True:
            await asyncio.sleep(0)
            await buffer.get()

    with consuming() as consumer:
        taking = asyncio.create_task(agent())
        await consumer._drain_messages(fetching(consumer, hand, list(range(500))))
        taking.cancel()
    assert longest < 5


async def test_a_full_buffer_is_not_waited_for_during_a_rebalance() -> None:
    handed: list[int] = []

    async def hand(message: int) -> None:
        handed.append(message)
        if message == 2:
            consumer.stop_flow()
            await asyncio.Event().wait()

    with consuming() as consumer:
        consumer.resume_flow()
        await consumer._drain_messages(fetching(consumer, hand, [1, 2, 3]))
    assert handed == [1, 2]


@pytest.mark.parametrize("error", [ConsumerStoppedError, asyncio.CancelledError])
async def test_a_consumer_that_ended_ends_the_worker_unless_it_ends_anyway(
    error: type[BaseException],
) -> None:
    async def hand(_message: int) -> None:
        raise error

    with consuming() as consumer:
        with pytest.raises(error):
            await consumer._drain_messages(fetching(consumer, hand, [1]))
        app: Any = consumer.transport.app
        app._stopped.set()
        await consumer._drain_messages(fetching(consumer, hand, [1]))
