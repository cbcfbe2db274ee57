"""Who reads: the members of a consumer group."""

from __future__ import annotations

from aiokafka.errors import KafkaConnectionError, KafkaError

from tokentide_jobs.io.kafka.clients import admin_client

__all__ = ["group_members"]


async def group_members(bootstrap: str, group: str) -> int | None:
    """Return how many consumers are in a group; None where the broker does not say.

    Raises:
        ServiceUnreachable: No broker answers.
    """
    async with admin_client(bootstrap) as admin:
        try:
            answers = await admin.describe_consumer_groups([group])
        except KafkaConnectionError:
            raise
        except (KafkaError, ValueError, IndexError):
            return None  # a broker that lacks the request, such as Tansu
    members = [
        len(members)
        for answer in answers
        for error, name, _state, _type, _protocol, members, *_rest in answer.groups
        if name == group and not error
    ]
    return members[0] if members else None
