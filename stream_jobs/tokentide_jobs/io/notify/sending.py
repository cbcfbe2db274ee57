"""One attempt over HTTP: no redirects, a deadline, a bounded answer, and what it means."""

from __future__ import annotations

import asyncio
import time
from typing import Final

import aiohttp

from tokentide_jobs.core.alert.outbox import Message, Outcome, Result
from tokentide_jobs.io.notify.body import request_of
from tokentide_jobs.io.notify.receiver import Receiver

__all__ = ["Sender"]

_TIMEOUT_S: Final = 15.0
_MOST_ANSWER: Final = 2_048
_AGAIN: Final = (408, 425, 429)
"""Answers that ask for another try, besides those of a broken server."""


class Sender:
    """Sends notifications; use it as an asynchronous context manager.

    Args:
        timeout_s: For a whole attempt.
    """

    def __init__(self, timeout_s: float = _TIMEOUT_S) -> None:
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Sender:
        self._session = aiohttp.ClientSession(
            timeout=self._timeout, cookie_jar=aiohttp.DummyCookieJar()
        )
        return self

    async def __aexit__(self, *_exc: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def send(self, receiver: Receiver, message: Message) -> Result:
        """Try once; whatever happens is in the result, without the address."""
        assert self._session is not None
        begun_s = time.monotonic()
        try:
            body, headers = request_of(receiver, message, int(time.time()))
            async with self._session.post(
                receiver.url, data=body, headers=headers, allow_redirects=False
            ) as answer:
                status = answer.status
                if 200 <= status < 300:  # it has it, whatever becomes of the words behind that
                    return _result("delivered", status, "", begun_s)
                answered = await answer.content.read(_MOST_ANSWER)
        except TimeoutError:
            return _result("retry", 0, "no answer in time", begun_s)
        except (aiohttp.ClientError, OSError, asyncio.IncompleteReadError) as exc:
            return _result("retry", 0, f"no connection: {type(exc).__name__}", begun_s)
        except Exception as exc:  # of an address that cannot be connected to, for one
            return _result("retry", 0, f"not sent: {type(exc).__name__}", begun_s)
        detail = answered.decode("utf-8", "replace").strip()[:200]
        if status >= 500 or status in _AGAIN:
            return _result("retry", status, detail, begun_s)
        if 300 <= status < 400:
            detail = "it redirects, which is not followed: correct the address"
        return _result("refused", status, detail, begun_s)


def _result(outcome: Outcome, status: int, detail: str, begun_s: float) -> Result:
    took_ms = (time.monotonic() - begun_s) * 1e3
    return Result(outcome, status, detail, round(took_ms, 1))
