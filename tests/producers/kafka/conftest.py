"""One broker of each kind for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import pytest

from tokentide_jobs.embedded.kafka.broker import Broker, BrokerKind
from tokentide_jobs.embedded.kafka.choice import choose_broker


@pytest.fixture(scope="package", params=["tansu", "kafka"])
def broker(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Broker]:
    kind = cast("BrokerKind", request.param)
    broker = choose_broker(kind, tmp_path_factory.mktemp(kind))
    broker.start()
    yield broker
    broker.stop()
