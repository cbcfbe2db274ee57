"""aiokafka's clients, opened and closed, with errors that name the address and the setting."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaConnectionError, for_code

from tokentide_jobs.errors import ConfigError, ServiceUnreachable

__all__ = ["admin_client", "plain_client", "unreadable_topic"]

_AsyncStep = Callable[[], Awaitable[Any]]


def admin_client(bootstrap: str) -> AbstractAsyncContextManager[Any]:
    """Open an `AIOKafkaAdminClient`; raises ServiceUnreachable when nobody answers."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    return _opened(bootstrap, admin, admin.start, admin.close)


def plain_client(bootstrap: str) -> AbstractAsyncContextManager[Any]:
    """Open an `AIOKafkaClient`, for single requests; raises as `admin_client` does."""
    client = AIOKafkaClient(bootstrap_servers=bootstrap)
    return _opened(bootstrap, client, client.bootstrap, client.close)


def unreadable_topic(bootstrap: str, topic: str, error_code: int) -> ConfigError:
    """Return what to raise when Kafka answers a question about a topic with an error."""
    reason = for_code(error_code).__name__
    return ConfigError(
        f"topic {topic} (TOKENTIDE_EVENTS_TOPIC) cannot be read at {bootstrap}: {reason}"
    )


@asynccontextmanager
async def _opened(
    bootstrap: str, client: Any, start: _AsyncStep, stop: _AsyncStep
) -> AsyncIterator[Any]:
    """Open one of aiokafka's (untyped) clients; a lost connection names the address."""
    try:
        await start()
        yield client
    except KafkaConnectionError as exc:
        raise ServiceUnreachable(
            f"Kafka does not answer at {bootstrap} (TOKENTIDE_KAFKA_BOOTSTRAP): "
            "start it, or name another address"
        ) from exc
    finally:
        await stop()
