"""Windows against rows: exact where nothing is in flight, within bounds where something is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tokentide_jobs.core.verify.windows import Rollup, Sums, WindowRows, compare_windows

DAY_S = 86_400
ONE = Sums(1, 10, 100)
TWO = Sums(2, 20, 200)
DAILY = Sums(2, 0, 200)


def test_settled_windows_are_compared_and_summed() -> None:
    found = compare_windows({0: WindowRows(ONE), 10: WindowRows(TWO)}, {0: ONE, 10: TWO})
    assert (found.compared, found.left_out, found.differences) == (2, 0, ())
    assert found.rows == found.windows == ONE.plus(TWO)


def test_a_window_that_differs_is_compared_and_reported() -> None:
    found = compare_windows({0: WindowRows(ONE)}, {0: ONE._replace(cost_pico_usd=99)})
    assert found.compared == 1
    assert [difference.start_s for difference in found.differences] == [0]
    assert found.rows != found.windows


def test_a_window_without_rows_and_rows_without_a_window_differ() -> None:
    found = compare_windows({0: WindowRows(ONE)}, {10: ONE})
    assert [difference.start_s for difference in found.differences] == [0, 10]


def test_a_window_with_rows_in_flight_is_left_out_of_the_sums() -> None:
    for stored in (ONE, TWO):
        found = compare_windows(
            {0: WindowRows(ONE, ONE), 10: WindowRows(TWO)}, {0: stored, 10: TWO}
        )
        assert (found.compared, found.left_out, found.differences) == (1, 1, ())
        assert found.rows == found.windows == TWO
        assert (found.left_out_rows, found.in_flight) == (TWO, ONE)


def test_a_window_in_flight_still_holds_at_least_the_finished_and_at_most_all_rows() -> None:
    for stored in (Sums(), Sums(3, 30, 300), Sums(1, 10, 99), Sums(2, 20, 201)):
        found = compare_windows({0: WindowRows(ONE, ONE)}, {0: stored})
        assert len(found.differences) == 1, stored


def test_rollups_are_compared_by_day_and_a_day_in_flight_within_bounds() -> None:
    rows = {DAY_S: WindowRows(ONE), DAY_S + 10: WindowRows(ONE), 2 * DAY_S: WindowRows(ONE, ONE)}
    windows = {DAY_S: ONE, DAY_S + 10: ONE, 2 * DAY_S: TWO}
    names = ("windows_1m", "windows_1h", "windows_1d")
    good = {Rollup(name, day): DAILY for name in names for day in (DAY_S, 2 * DAY_S)}
    assert compare_windows(rows, windows, rollups=good).differences == ()
    behind = {**good, Rollup("windows_1h", 2 * DAY_S): Sums(1, 0, 100)}
    assert compare_windows(rows, windows, rollups=behind).differences == ()
    short = {**good, Rollup("windows_1h", DAY_S): Sums(1, 0, 100)}
    (found,) = compare_windows(rows, windows, rollups=short).differences
    assert (found.table, found.start_s) == ("windows_1h", DAY_S)


def test_rollups_that_are_gone_altogether_are_found() -> None:
    found = compare_windows({DAY_S: WindowRows(ONE)}, {DAY_S: ONE}, rollups={})
    assert {difference.table for difference in found.differences} == {
        "windows_1m", "windows_1h", "windows_1d",
    }  # fmt: skip


def test_a_day_of_which_only_a_part_is_in_scope_is_not_compared() -> None:
    found = compare_windows(
        {DAY_S - 10: WindowRows(ONE)}, {DAY_S - 10: ONE}, rollups={}, whole_days_from_s=DAY_S
    )
    assert found.differences == ()


def test_windows_under_repricing_are_left_out_whatever_they_hold() -> None:
    found = compare_windows(
        {0: WindowRows(ONE), 10: WindowRows(ONE)}, {0: TWO, 10: ONE}, repricing=[("run", 0, 10)]
    )
    assert (found.compared, found.left_out, found.differences) == (1, 1, ())
    assert found.repricing == ("run",)


def test_a_difference_that_moves_is_left_out_and_one_that_stays_is_kept() -> None:
    before = compare_windows({0: WindowRows(ONE), 10: WindowRows(ONE)}, {0: TWO})
    after = compare_windows({0: WindowRows(ONE), 10: WindowRows(TWO)}, {0: TWO})
    found = after.confirmed(before)
    assert [difference.start_s for difference in found.differences] == [0]
    assert (found.compared, found.left_out, found.left_out_rows) == (1, 1, TWO)
    assert (found.rows, found.windows) == (ONE, TWO)


@given(
    st.lists(
        st.tuples(
            st.integers(0, 5), st.integers(0, 1000), st.integers(0, 3), st.booleans(),
        ),
        max_size=30,
    ),
    st.integers(0, 4),
)  # fmt: skip
def test_no_schedule_of_batches_makes_a_difference(
    events: list[tuple[int, int, int, bool]], finished: int
) -> None:
    """Batches 0..3 are written in order; the windows hold any further ones, in whole or not."""
    rows: dict[int, WindowRows] = {}
    windows: dict[int, Sums] = {}
    visible = {batch: is_in for _w, _c, batch, is_in in events}
    for window, cost, batch, _is_in in events:
        one = Sums(1, 1, cost)
        is_done = batch < finished
        own = WindowRows(one) if is_done else WindowRows(Sums(), one)
        rows[window * 10] = rows.get(window * 10, WindowRows()).plus(own)
        if is_done or visible[batch]:
            windows[window * 10] = windows.get(window * 10, Sums()).plus(one)
    found = compare_windows(rows, windows)
    assert found.differences == ()
    assert found.rows == found.windows
