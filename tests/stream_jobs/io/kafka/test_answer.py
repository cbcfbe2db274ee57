"""A broker that takes connections and never answers is reported so, within one deadline."""

from __future__ import annotations

import socket
from collections.abc import Coroutine, Iterator
from typing import Any

import pytest

from tokentide_jobs.errors import ServiceUnreachable
from tokentide_jobs.io.kafka.answer import kafka_answer
from tokentide_jobs.io.kafka.group import group_members
from tokentide_jobs.io.kafka.lag import record_times_ms
from tokentide_jobs.io.kafka.offsets import offset_ranges


@pytest.fixture
def frozen_broker() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def test_a_frozen_broker_is_given_up_at_the_deadline(frozen_broker: str) -> None:
    questions: tuple[Coroutine[Any, Any, object], ...] = (
        offset_ranges(frozen_broker, "events"),
        group_members(frozen_broker, "ingest"),
        record_times_ms(frozen_broker, {("events", 0): (0, 1)}),
    )
    for asked in questions:
        with pytest.raises(ServiceUnreachable, match="does not answer within") as given_up:
            kafka_answer(frozen_broker, asked, within_s=0.05)
        assert frozen_broker in str(given_up.value)
