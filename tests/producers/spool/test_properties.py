"""Adding, sending, outages and deaths in any order: frames keep theirs, and none is unaccounted."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tokentide.delivery.counters import Counters
from tokentide.delivery.framing import Frame
from tokentide.log import RateLimitedLog
from tokentide.spool.directory import Spool
from tokentide.spool.spooled_backlog import SpooledBacklog

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(1, 40_000)),
        st.tuples(st.just("away"), st.booleans()),
        st.tuples(st.just("send"), st.integers(0, 5)),
        st.tuples(st.just("maintain"), st.none()),
        st.tuples(st.just("die"), st.none()),
    ),
    max_size=80,
)


class Model:
    """A producer, its heirs, and what has become of every frame."""

    def __init__(self, root: Path, drops_oldest: bool) -> None:
        self.root = root
        self.drops_oldest = drops_oldest
        self.lives = 0
        self.added = self.settled = self.lost_with_memory = 0
        self.last_settled: dict[str, int] = {}
        self.random = random.Random(5)
        self.counters = Counters()
        self.start()

    def start(self) -> None:
        self.lives += 1
        self.name = f"life-{self.lives:03d}"
        self.number = 0
        self.counters.is_failing = False
        spool = Spool(
            self.root,
            1 << 20,
            self.name,
            drops_oldest=self.drops_oldest,
            counters=self.counters,
            log=RateLimitedLog(),
        )
        self.backlog = SpooledBacklog(100_000, spool, self.counters)

    def add(self, size_bytes: int) -> None:
        if self.backlog.is_full and not self.drops_oldest:
            return
        payload = self.random.randbytes(size_bytes)
        self.backlog.add(Frame(self.number, payload, 1, topic="b" if size_bytes % 5 == 0 else ""))
        self.number += 1
        self.added += 1
        if self.drops_oldest:
            self.counters.drop("backlog_full", self.backlog.drop_excess())

    def away(self, is_failing: bool) -> None:
        self.counters.is_failing = is_failing

    def send(self, settle: int) -> None:
        backlog = self.backlog
        if backlog.is_empty:
            return
        batch = list(backlog.in_flight) or backlog.start_batch(60_000)
        assert len({frame.topic for frame in batch}) <= 1
        for frame in batch[:settle]:
            producer = frame.producer_id or self.name
            assert frame.number > self.last_settled.get(producer, -1), "in order and never twice"
            self.last_settled[producer] = frame.number
            backlog.settle(frame)
            self.settled += 1

    def maintain(self, _: None) -> None:
        self.backlog.maintain()

    def die(self, _: None) -> None:
        self.lost_with_memory += self.backlog.events
        self.backlog.close()  # what the death of a process does: nothing is saved
        self.start()
        self.backlog.maintain()

    def check(self) -> None:
        dropped = sum(self.counters.dropped.values())
        unsettled = self.backlog.events + self.backlog.spooled_events
        assert self.added == self.settled + dropped + unsettled + self.lost_with_memory
        if self.backlog.is_empty:
            assert unsettled == 0
        first = self.backlog.first_number
        assert first is None or first <= self.number
        assert self.backlog.spool_bytes <= 1 << 20


@settings(max_examples=60, deadline=None)
@given(steps=STEPS, drops_oldest=st.booleans())
def test_frames_stay_in_order_and_every_one_is_accounted_for(
    steps: list[tuple[str, object]], drops_oldest: bool
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        model = Model(Path(directory) / "spool", drops_oldest)
        for name, argument in steps:
            getattr(model, name)(argument)
            model.check()
        model.away(False)
        while not model.backlog.is_empty:
            model.send(1000)
        model.check()
        assert model.backlog.first_number is None
        model.backlog.close()
        assert not model.root.exists() or list(model.root.iterdir()) == []
