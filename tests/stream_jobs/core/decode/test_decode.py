"""The fast path is taken where it can be, and one refused event costs no more than itself."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import polars as pl
import pytest

from tokentide_jobs.core.decode import decode as module
from tokentide_jobs.core.decode.columns import PLACE_TYPES, storage_schema
from tokentide_jobs.core.decode.decode import Decoded, decode
from tokentide_jobs.core.decode.judge import AcceptedWindow, judge_line
from tokentide_jobs.core.record.dead_letter import Refusal
from tokentide_jobs.core.record.record import Record

NOW_US = 1_790_000_000_000_000
WINDOW = AcceptedWindow(NOW_US - 10**9, NOW_US + 10**9)


def request(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "type": "request",
        "event_id": f"01a3185c-5000-7000-9bc0-{number:012x}",
        "started_at_us": NOW_US + number,
        "service": "chat",
        "provider": "openai",
        "operation": "chat",
        "status": "ok",
        "request_model": "gpt-4o",
        "duration_ms": 10.5,
        "input_tokens": 10,
        "output_tokens": 2,
    } | fields


def dump(event: dict[str, Any], **style: Any) -> bytes:
    return json.dumps(event, **style).encode()


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Lines that went to the judge, who still decides."""
    lines: list[bytes] = []

    def watched(line: bytes, window: AcceptedWindow, on_replaced: Any) -> dict[str, Any] | Refusal:
        lines.append(line)
        return judge_line(line, window, on_replaced)

    monkeypatch.setattr(module, "judge_line", watched)
    return lines


def accepted_count(decoded: Decoded) -> int:
    return sum(frame.height for frame in decoded.frames.values())


def accepted(records: Sequence[Record]) -> pl.DataFrame:
    decoded = decode(records, WINDOW)
    assert decoded.dead_letters == []
    return decoded.frames["request"]


@pytest.mark.parametrize(
    "line",
    [
        dump(request(1)),
        dump(request(1), separators=(",", ":")),
        dump(request(1, tenant=None, cache_read_tokens=None, tags=None)),
        dump(request(1, tags={"region": "eu", "b": "c"}, finish_reasons=["stop"], stream=True)),
        dump(request(1, other_units={"pages": 2, "seconds": 1.5})),
        dump(request(1, usage_raw='{"input_tokens": 5, "service": "x"}', tags={"a": "b"})),
        dump(request(1, service="schön", error_code="a:b", region="at: 1:30"), ensure_ascii=False),
        dump(request(1, service="schön \n")),
        dump(request(1)).replace(b'": ', b'" : '),
        dump(request(1, prompt_version="3", error_code="429", sdk_version="1.0")),
        dump(request(1, user_name="unknown", cost=5, api_version="2", note=None)),
        dump({"type": "change", "event_id": request(1)["event_id"], "started_at_us": NOW_US,
              "service": "s", "kind": "deploy", "subject": "x"}),
    ],
)  # fmt: skip
def test_ordinary_events_never_need_the_judge(line: bytes, judged: list[bytes]) -> None:
    decoded = decode([Record(0, 0, 0, line)], WINDOW)
    assert accepted_count(decoded) == 1
    assert judged == []


def test_bad_lines_of_every_kind_do_not_send_their_neighbours_to_the_judge(
    judged: list[bytes],
) -> None:
    bad = [
        b"not json",
        b'{"type": "request"',
        b"[1, 2",
        b"\xff",
        dump(request(0, input_tokens=1.5)),
        dump(request(0, input_tokens=1 << 70)),
        dump(request(0, input_tokens="5")),
        dump(request(0, service=5)),
        dump(request(0, stream="yes")),
        dump(request(0, finish_reasons="stop")),
        dump(request(0, tags={"a": 1})),
        dump(request(0, started_at_us=5)),
        dump(request(0) | {"type": "other"}),
        dump(request(0)).replace(b"10.5", b"NaN"),
    ]
    lines = []
    for number in range(20):
        lines += [dump(request(2 * number)), bad[number % len(bad)], dump(request(2 * number + 1))]
    decoded = decode([Record(0, 5, 0, b"\n".join(lines))], WINDOW)
    assert accepted_count(decoded) == 40
    assert [dead_letter.idx for dead_letter in decoded.dead_letters] == list(range(1, 60, 3))
    assert len(judged) == 20


def test_rows_keep_their_place_and_come_sorted(judged: list[bytes]) -> None:
    frames = {
        (1, 7): [dump(request(3)), b'{"tags": {"a": NaN}}', dump(request(4))],
        (0, 9): [dump(request(2, service="a", **{"unknown": {"service": 1}}))],  # judged
        (0, 8): [b"[" + dump(request(0)) + b"," + dump(request(1)) + b"]"],
    }
    decoded = decode([Record(*at, 0, b"\n".join(lines)) for at, lines in frames.items()], WINDOW)
    places = decoded.frames["request"].select(*PLACE_TYPES).rows()
    assert places == [(0, 8, 0), (0, 8, 1), (0, 9, 0), (1, 7, 0), (1, 7, 2)]
    assert decoded.frames["request"]["started_at_us"].to_list() == [NOW_US + i for i in range(5)]
    assert [dead_letter[:3] for dead_letter in decoded.dead_letters] == [(1, 7, 1)]
    assert len(judged) == 2


def test_types_in_one_frame_land_in_frames_of_their_own() -> None:
    stats = {"type": "stats", "event_id": request(0)["event_id"], "started_at_us": NOW_US,
             "service": "s", "emitted": 5}  # fmt: skip
    lines = [dump(request(0)), dump(stats), dump(request(1)), dump(stats)]
    decoded = decode([Record(0, 0, 0, b"\n".join(lines))], WINDOW)
    assert decoded.frames["request"]["_idx"].to_list() == [0, 2]
    assert decoded.frames["stats"]["_idx"].to_list() == [1, 3]
    for event_type, frame in decoded.frames.items():
        assert frame.schema == storage_schema(event_type)


def test_no_records_give_nothing() -> None:
    decoded = decode([], WINDOW)
    assert (decoded.frames, decoded.dead_letters) == ({}, [])


def test_fields_that_only_some_events_have_are_empty_in_the_others() -> None:
    lines = [dump(request(0, tenant="a", tags={"k": "v"}, ttft_ms=1)), dump(request(1))]
    frame = accepted([Record(0, 0, 0, b"\n".join(lines))])
    assert frame["tenant"].to_list() == ["a", ""]
    assert frame["tags"].to_list() == ['{"k":"v"}', "{}"]
    assert frame["ttft_ms"].to_list() == [1.0, None]
    assert frame["finish_reasons"].to_list() == [[], []]


def test_the_columns_of_a_batch_are_of_one_chunk() -> None:
    frame = b"\n".join(dump(request(number, comment="x" * 512)) for number in range(1_000))
    rows = accepted([Record(0, 0, 0, frame)])
    # Of several chunks, every later step would join all columns again.
    assert set(rows.n_chunks("all")) == {1}
