"""What is read covers the periods exactly: no instant twice, none left out, edges in minutes."""

from __future__ import annotations

from itertools import pairwise
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from tokentide_jobs.core.budget.budget import Budget, Scope
from tokentide_jobs.core.budget.burn import BURN_RULES
from tokentide_jobs.core.budget.period import KINDS, PeriodKind
from tokentide_jobs.core.budget.reads import HISTORY_US, reads_of

HOUR_US = 3_600_000_000
ZONES = ("UTC", "Europe/Berlin", "Asia/Kathmandu", "Asia/Kolkata", "Australia/Lord_Howe")


def budget(kind: PeriodKind, zone: str) -> Budget:
    return Budget(
        name="b", scope=Scope(), period=kind, zone=ZoneInfo(zone), zone_name=zone, amount_pico_usd=1
    )


@given(
    st.sampled_from(KINDS),
    st.sampled_from(ZONES),
    st.integers(1_700_000_000_000_000, 2_000_000_000_000_000),
)
def test_every_instant_is_read_once(kind: PeriodKind, zone: str, now_us: int) -> None:
    one = budget(kind, zone)
    reads = reads_of(one, now_us)
    ranges = sorted([*reads.hours, *reads.minutes])
    assert all(left[1] == right[0] for left, right in pairwise(ranges))
    period = one.at(now_us)
    before = one.before(period)
    assert ranges[0][0] <= before.start_us
    assert ranges[-1][1] == period.end_us
    for edge_us in (before.start_us, period.start_us):
        assert not any(low < edge_us < high and edge_us % HOUR_US for low, high in reads.hours)
    assert all(edge_us % HOUR_US == 0 for ends in reads.hours for edge_us in ends)
    assert all(edge_us % 60_000_000 == 0 for ends in reads.minutes for edge_us in ends)
    longest_s = max(rule.long_s for rule in BURN_RULES[kind])
    assert ranges[0][0] <= now_us - longest_s * 1_000_000
    if kind in ("week", "month"):
        assert ranges[0][0] <= now_us - HISTORY_US
