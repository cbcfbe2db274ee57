"""One budget for all partitions: bounded together, and no partition starves."""

from __future__ import annotations

import random
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sampling import examples
from tokentide_jobs.core.batch.byte_budget import ByteBudget
from tokentide_jobs.core.batch.planner import Limits, OfferResult, PartitionPlanner

LIMITS = Limits(rows=10**6, bytes=10**6, age_ms=500, buffer_bytes=12_000)


@dataclass(frozen=True)
class Stored:
    offset: int
    value: bytes


def test_a_single_partition_may_hold_all_and_gives_back_what_others_are_due() -> None:
    budget = ByteBudget(1_200)
    first, second, _idle = (budget.share() for _ in range(3))

    def full(first_bytes: int, second_bytes: int) -> tuple[bool, bool]:
        first.held_bytes, second.held_bytes = first_bytes, second_bytes
        return first.is_full, second.is_full

    assert full(1_199, 0) == (False, False)
    assert full(1_200, 0) == (True, False)
    assert full(1_200, 399) == (True, False), "a third is its own, whatever the others hold"
    assert full(1_200, 400) == (True, True)
    assert full(300, 400) == (False, False)
    assert first.is_half_free
    assert full(300, 600) == (False, True), "half, as long as another one holds something"
    assert full(0, 600) == (False, False)


def test_a_partition_that_leaves_gives_back_what_it_held() -> None:
    budget = ByteBudget(1_000)
    leaving, staying = budget.share(), budget.share()
    leaving.held_bytes, staying.held_bytes = 900, 500
    assert staying.is_full
    leaving.leave()
    assert (staying.is_full, budget.held_bytes) == (False, 500)


@settings(max_examples=examples(60), deadline=None)
@given(partitions=st.integers(1, 8), seed=st.integers(0, 2**32))
def test_all_together_hold_less_than_twice_the_budget_and_each_is_read_again(
    partitions: int, seed: int
) -> None:
    chance = random.Random(seed)
    budget = ByteBudget(LIMITS.buffer_bytes)
    planners: list[PartitionPlanner[Stored]] = [
        PartitionPlanner(0, LIMITS, None, budget) for _ in range(partitions)
    ]
    stuck = chance.randrange(partitions)
    largest = LIMITS.buffer_bytes // partitions // 4
    stored = [0] * partitions
    for _ in range(300):
        number = chance.randrange(partitions)
        planner = planners[number]
        if chance.random() < 0.7:
            size = chance.randrange(largest)
            while not planner.is_full and chance.random() < 0.8:
                assert planner.offer(Stored(planner.expected, bytes(size)), 0) is OfferResult.KEPT
        elif number != stuck and (batch := planner.seal(10_000)) is not None:
            planner.begin_batch(batch.end, None)
            stored[number] += 1
        record = largest + 256
        assert budget.held_bytes < 2 * LIMITS.buffer_bytes + partitions * record
        # Whatever the others hold, a part is its own, and an empty one may always go on.
        for each in planners:
            if each.buffered_bytes < LIMITS.buffer_bytes // partitions:
                assert not each.is_full
            if each.is_empty:
                assert each.has_room
            if each.is_full:
                assert each.is_ready, "a partition that is not read on must not wait for its age"


def test_a_record_larger_than_the_budget_gets_through_alone() -> None:
    budget = ByteBudget(LIMITS.buffer_bytes)
    large: PartitionPlanner[Stored] = PartitionPlanner(0, LIMITS, None, budget)
    other: PartitionPlanner[Stored] = PartitionPlanner(0, LIMITS, None, budget)
    assert large.offer(Stored(0, bytes(50_000)), 0) is OfferResult.KEPT
    assert (large.is_full, other.is_full) == (True, False)
    batch = large.seal(0)
    assert batch is not None
    assert (batch.start, batch.end, batch.reason) == (0, 1, "age")
    large.begin_batch(1, None)
    assert (large.has_room, budget.held_bytes) == (True, 0)


def test_an_open_intent_is_read_to_its_end_also_when_others_hold_everything() -> None:
    budget = ByteBudget(LIMITS.buffer_bytes)
    other: PartitionPlanner[Stored] = PartitionPlanner(0, LIMITS, None, budget)
    bound: PartitionPlanner[Stored] = PartitionPlanner(0, LIMITS, None, budget)
    other.offer(Stored(0, bytes(20_000)), 0)
    for offset in range(3):
        bound.offer(Stored(offset, bytes(4_000)), 0)
    assert (bound.is_full, bound.has_room) == (True, False)
    bound.begin_batch(0, 5)  # as another worker has begun it
    assert (bound.is_full, bound.has_room) == (False, True)
