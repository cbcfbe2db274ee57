"""Parts of batches are taken once, in any order, in memory that does not grow."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sampling import examples
from tests.stream_jobs.core.merge.delta_records import log
from tokentide_jobs.core.merge.delta_record import Origin
from tokentide_jobs.core.merge.seen import MOST_GAPS, SeenParts


def part(start: int, end: int, chunk: int = 0, schema: str = "windows.v1") -> Origin:
    return Origin(schema, log(), start, end, chunk)


@settings(max_examples=examples(15))
@given(st.lists(st.integers(1, 9), min_size=1, max_size=30), st.randoms(use_true_random=False))
def test_each_part_is_taken_once_in_any_order_of_repetitions(
    sizes: list[int], chance: random.Random
) -> None:
    ends = [sum(sizes[: n + 1]) for n in range(len(sizes))]
    parts = [
        part(end - size, end, chunk, schema)
        for size, end in zip(sizes, ends, strict=True)
        for chunk in range(2)
        for schema in ("windows.v1", "steps.v1")
    ]
    given_parts = parts * 3
    chance.shuffle(given_parts)
    seen = SeenParts()
    taken = [one for one in given_parts if seen.take(0, one)]
    assert sorted(taken, key=repr) == sorted(parts, key=repr)


def test_the_same_batch_in_another_partition_of_the_topic_is_another_part() -> None:
    seen = SeenParts()
    assert [seen.take(partition, part(0, 5)) for partition in (0, 1, 0, 1)] == [
        *(True, True, False, False)
    ]


def test_what_lies_before_a_mark_is_a_repetition() -> None:
    seen = SeenParts()
    seen.settle(log(), 0, 10)
    assert not seen.take(0, part(5, 10))
    assert seen.take(1, part(5, 10))
    assert seen.take(0, part(10, 12))


def test_a_mark_that_says_less_takes_nothing_back() -> None:
    seen = SeenParts()
    seen.settle(log(), 0, 10)
    seen.settle(log(), 0, 3)
    assert not seen.take(0, part(5, 10))


def test_gaps_are_bounded_and_the_newest_are_kept() -> None:
    seen = SeenParts()
    starts = range(0, 40 * MOST_GAPS, 10)
    for start in starts:
        assert seen.take(0, part(start, start + 5))
    assert len(seen.to_rows()[1][0][-1]) == MOST_GAPS
    assert not seen.take(0, part(5, 10)), "an old gap counts as taken"
    assert seen.take(0, part(starts[-1] - 5, starts[-1])), "a new one does not"


def test_a_restored_state_says_the_same() -> None:
    seen = SeenParts()
    seen.take(0, part(0, 5))
    seen.take(1, part(7, 9, 3, "steps.v1"))
    seen.settle(log(2), 0, 4)
    restored = SeenParts.from_rows(seen.to_rows())
    assert restored.to_rows() == seen.to_rows()
    assert not restored.take(1, part(7, 9, 3, "steps.v1"))
    assert restored.take(1, part(5, 7, 3, "steps.v1"))
