"""One deadline for questions to Kafka that a person waits for.

A broker that takes connections and answers nothing costs aiokafka 40 seconds a request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from tokentide_jobs.errors import ServiceUnreachable
from tokentide_jobs.settings.origins import origin_of

__all__ = ["ANSWER_S", "kafka_answer"]

ANSWER_S: Final = 10.0

T = TypeVar("T")


def kafka_answer(bootstrap: str, asked: Coroutine[Any, Any, T], within_s: float = ANSWER_S) -> T:
    """Ask, wait, and return the answer.

    Raises:
        ServiceUnreachable: It does not come in time.
    """

    async def bounded() -> T:
        async with asyncio.timeout(within_s):
            return await asked

    try:
        return asyncio.run(bounded())
    except TimeoutError as exc:
        raise ServiceUnreachable(
            f"Kafka at {bootstrap} ({origin_of('kafka_bootstrap')}) takes connections and does not "
            f"answer within {within_s:g} s: look at the broker's log, and start it again"
        ) from exc
