"""One worker of a group gets every partition, and keeps them while it lives."""

from __future__ import annotations

import asyncio
from typing import Any

from aiokafka.coordinator.protocol import ConsumerProtocolMemberMetadata

from tokentide_jobs.jobs.runtime.faust_app import build_app
from tokentide_jobs.jobs.runtime.sole_owner import SoleOwner
from tokentide_jobs.settings import Settings

TOPIC = "tokentide.windows.v1"


class Cluster:
    """Four partitions of every topic."""

    def partitions_for_topic(self, _topic: str) -> set[int]:
        return {0, 1, 2, 3}


async def _nowhere(_assigned: object) -> dict[Any, int]:
    return {}


def _assignor() -> Any:
    app = build_app(
        Settings.from_env({}), _nowhere, lambda: None, asyncio.get_running_loop(),
        "tokentide-detect", SoleOwner,
    )  # fmt: skip
    assert app.conf.id == "tokentide-detect"
    return app.assignor


def _partitions(given: Any) -> list[int]:
    return [number for _topic, numbers in given.assignment for number in numbers]


def test_a_standby_that_joins_moves_nothing_and_takes_over_when_the_owner_is_gone() -> None:
    async def play() -> None:
        first, second = _assignor(), _assignor()
        given = first.assign(Cluster(), {"m-2": first.metadata({TOPIC})})
        assert _partitions(given["m-2"]) == [0, 1, 2, 3]
        first.on_assignment(given["m-2"])

        members = {"m-1": second.metadata({TOPIC}), "m-2": first.metadata({TOPIC})}
        assert isinstance(members["m-1"], ConsumerProtocolMemberMetadata)
        given = second.assign(Cluster(), members)
        assert (_partitions(given["m-1"]), _partitions(given["m-2"])) == ([], [0, 1, 2, 3])
        first.on_assignment(given["m-2"])
        second.on_assignment(given["m-1"])

        given = second.assign(Cluster(), {"m-1": second.metadata({TOPIC})})
        assert _partitions(given["m-1"]) == [0, 1, 2, 3]

    asyncio.run(play())
