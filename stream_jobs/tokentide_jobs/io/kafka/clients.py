"""aiokafka's clients, opened and closed, with errors that name the address and the setting."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaConnectionError, for_code

from tokentide_jobs.core.record.topics import is_otlp
from tokentide_jobs.errors import ConfigError, ServiceUnreachable
from tokentide_jobs.settings.origins import origin_of
from tokentide_schemas.topics import EVENTS, TOPICS

__all__ = ["admin_client", "plain_client", "unreadable_topic"]

_AsyncStep = Callable[[], Awaitable[Any]]


def admin_client(bootstrap: str) -> AbstractAsyncContextManager[Any]:
    """Open an `AIOKafkaAdminClient`; raises ServiceUnreachable when there is no answer."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    return _opened(bootstrap, admin, admin.start, admin.close)


def plain_client(bootstrap: str) -> AbstractAsyncContextManager[Any]:
    """Open an `AIOKafkaClient`, for single requests; raises as `admin_client` does."""
    client = AIOKafkaClient(bootstrap_servers=bootstrap)
    return _opened(bootstrap, client, client.bootstrap, client.close)


def unreadable_topic(bootstrap: str, topic: str, error_code: int) -> ConfigError:
    """Return what to raise when Kafka answers a question about a topic with an error."""
    reason = for_code(error_code).__name__
    return ConfigError(f"topic {topic}{_named_by(topic)} cannot be read at {bootstrap}: {reason}")


def _named_by(topic: str) -> str:
    """Return the place that names a topic, in parentheses; "" for one that no setting names."""
    if is_otlp(topic):
        return f" ({origin_of('otlp_topic')})"
    fixed = {spec.name for spec in TOPICS} - {EVENTS.name}
    return "" if topic in fixed else f" ({origin_of('events_topic')})"


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
            f"Kafka does not answer at {bootstrap} ({origin_of('kafka_bootstrap')}): "
            "start it, or name another address"
        ) from exc
    finally:
        await stop()
