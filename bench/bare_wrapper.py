"""The bare wrapper of `bench.producer`: what recording costs that reads nothing of what passes.

Made as wrappers of clients usually are, with wrapt, which OpenInference and OpenLLMetry use too: a
function around `create`, and a proxy around a stream that takes the times of its chunks. The
event is always the same one and goes into a queue.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import wrapt


class BareWrapper:
    """Times, one fixed event, one append to a queue."""

    stays_on = False

    def __init__(self, resource: Any) -> None:
        self._kind = type(resource)
        self._create = self._kind.__dict__["create"]
        self._queue: deque[dict[str, object]] = deque(maxlen=10_000)
        self._calls = 0

    def on(self) -> None:
        """Wrap `create` of the resource's class."""
        wrapt.wrap_function_wrapper(self._kind, "create", self._timed)

    def off(self) -> None:
        """Put the method back."""
        self._kind.create = self._create

    def _timed(
        self, wrapped: Callable[..., Any], _instance: object, args: Any, kwargs: dict[str, Any]
    ) -> Any:
        started_ns = time.perf_counter_ns()
        response = wrapped(*args, **kwargs)
        if "stream" in kwargs:
            return _Watched(response, self, started_ns)
        self.finish(started_ns, 0, 0, 0)
        return response

    def finish(self, started_ns: int, chunks: int, first_ns: int, gap_ns: int) -> None:
        """Queue the event of a call that has ended."""
        now_ns = time.perf_counter_ns()
        self._calls += 1
        self._queue.append(
            {
                "type": "request",
                "operation": "chat",
                "provider": "openai",
                "request_model": "gpt-5-mini",
                "status": "ok",
                "started_at_us": time.time_ns() // 1000,
                "duration_ms": (now_ns - started_ns) / 1e6,
                "ttft_ms": (first_ns - started_ns) / 1e6,
                "chunks": chunks,
                "max_chunk_gap_ms": gap_ns / 1e6,
                "input_tokens": 812,
                "output_tokens": 201,
                "usage_source": "provider",
            }
        )

    def drain(self) -> None:
        """Forget what was queued."""
        self._queue.clear()

    def recorded(self) -> int:
        """Return how many calls were recorded so far."""
        return self._calls


class _Watched(wrapt.ObjectProxy[Any]):
    """A stream whose chunks are timed."""

    def __init__(self, stream: Any, wrapper: BareWrapper, started_ns: int) -> None:
        super().__init__(stream)
        self._self_chunks = iter(stream)
        self._self_wrapper = wrapper
        self._self_started_ns = started_ns
        self._self_first_ns = self._self_last_ns = self._self_gap_ns = self._self_count = 0

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        try:
            chunk = next(self._self_chunks)
        except StopIteration:
            self._self_wrapper.finish(
                self._self_started_ns, self._self_count, self._self_first_ns, self._self_gap_ns
            )
            raise
        now_ns = time.perf_counter_ns()
        if not self._self_first_ns:
            self._self_first_ns = now_ns
        elif now_ns - self._self_last_ns > self._self_gap_ns:
            self._self_gap_ns = now_ns - self._self_last_ns
        self._self_last_ns = now_ns
        self._self_count += 1
        return chunk
