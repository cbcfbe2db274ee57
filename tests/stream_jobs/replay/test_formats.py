"""Recorded workloads are read as they were published, and bad files are named."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections import Counter
from itertools import islice, pairwise
from pathlib import Path

import pytest

from tokentide_jobs.errors import ConfigError
from tokentide_jobs.replay.formats import azure, claude_code, servegen
from tokentide_jobs.replay.packaged import DATA, PACKAGED, open_trace

AZURE = "TIMESTAMP,ContextTokens,GeneratedTokens\n"
SESSIONS = ",".join(claude_code.COLUMNS) + "\n"
SESSION_ROW = (
    "trace_1,,,0,0.0,n,claude-opus-4-6,100,20,0,tool_use,,7.5,0.0,text,text|thinking|tool_use"
)


def write(folder: Path, text: str, name: str = "trace.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_azure_rows_become_calls_with_microsecond_spacing(tmp_path: Path) -> None:
    text = AZURE + "2023-11-16 18:15:46.6805900,374,44\n2023-11-16 18:15:50.9951690,396,109\n"
    first, second = azure.read(write(tmp_path, text))
    assert (first.at_s, first.input_tokens, first.output_tokens) == (0.0, 374, 44)
    assert second.at_s == 4.314579
    assert (second.duration_s, second.model, second.cache_read_tokens) == (None, "", None)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("2023-11-16 18:15:46.68,many,44", "line 3: ContextTokens is 'many': expected a number"),
        ("2023-11-16 18:15:46.68,-1,44", "line 3: ContextTokens is '-1': expected 0 to"),
        ("2023-11-16 18:15:46.68,1", "line 3: 2 columns: expected 3"),
        ("yesterday,1,2", "line 3: TIMESTAMP is 'yesterday': expected YYYY-MM-DD"),
        ("2023-11-16 18:15:45.00,1,2", "line 3: TIMESTAMP '2023-11-16 18:15:45.00' is before"),
        ("2023-11-16 18:15:46.68,nan,2", "line 3: ContextTokens is 'nan'"),
    ],
)
def test_a_bad_azure_line_names_file_line_and_value(tmp_path: Path, row: str, message: str) -> None:
    path = write(tmp_path, AZURE + "2023-11-16 18:15:46.0,1,1\n" + row + "\n")
    with pytest.raises(ConfigError) as caught:
        list(azure.read(path))
    assert str(path) in str(caught.value)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (",n,", ",x,", "req_type is 'x': expected n or s"),
        (",100,20,0,", ",100,20,101,", "cache_read_tokens_sim 101 exceeds input_tokens 100"),
        (",7.5,", ",soon,", "api_time_s is 'soon': expected a number"),
        (",text,text", ",text", "15 columns: expected 16"),
    ],
)
def test_a_bad_session_line_names_file_line_and_value(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    path = write(tmp_path, SESSIONS + SESSION_ROW.replace(old, new, 1) + "\n")
    with pytest.raises(ConfigError, match="line 2: ") as caught:
        list(claude_code.read(path, 1))
    assert message in str(caught.value)


def test_session_calls_keep_what_was_recorded(tmp_path: Path) -> None:
    (call,) = claude_code.read(write(tmp_path, SESSIONS + SESSION_ROW + "\n"), 1)
    assert (call.model, call.lane, call.stop) == ("claude-opus-4-6", "trace_1", "tool_use")
    assert (call.duration_s, call.ttft_s, call.is_stream, call.tool_calls) == (7.5, None, False, 1)


def test_a_sub_agent_is_a_run_inside_the_run_of_its_session() -> None:
    calls = list(claude_code.read(DATA / "claude_code_sessions.csv.gz", 1))
    nested = [call for call in calls if call.parent_run]
    assert {call.parent_run for call in nested} <= {call.lane for call in calls}
    assert all(call.run.startswith(f"{call.lane}/agent_") and call.agent for call in nested)
    assert len({call.run for call in nested}) > 10
    assert all(call.run == call.lane for call in calls if not call.parent_run)


def test_cache_writes_are_what_the_next_call_reads_and_never_exceed_the_input() -> None:
    calls = list(claude_code.read(DATA / "claude_code_sessions.csv.gz", 1))
    assert any(call.cache_write_tokens for call in calls)
    for call in calls:
        assert call.cache_read_tokens is not None
        assert call.cache_write_tokens is not None
        assert call.cache_read_tokens + call.cache_write_tokens <= call.input_tokens


def test_recorded_spacing_inside_a_session_is_kept() -> None:
    calls = list(claude_code.read(DATA / "claude_code_sessions.csv.gz", 3))
    with gzip.open(DATA / "claude_code_sessions.csv.gz", "rt") as file:
        rows = [line.split(",") for line in islice(file, 1, 20) if line.startswith("trace_0001,")]
    own = [call for call in calls if call.lane == "trace_0001"]
    recorded = [float(row[4]) for row in rows]
    assert [round(call.at_s - own[0].at_s, 6) for call in own][: len(recorded)] == recorded


def archive(folder: Path, members: dict[str, str]) -> Path:
    path = folder / "clients.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for name, text in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    return path


def client(rate: float = 2.0, family: str = "Gamma", shape: float = 0.5) -> dict[str, str]:
    windows = "".join(f"{600 * i},{rate},1,{family},{shape},0.1\n" for i in range(12))
    tokens = {"input_tokens": "{10: 0.5, 20: 0.5}", "output_tokens": "{1: 0.5, 1000: 0.5}"}
    dataset = {"0": {**tokens, "reason_ratio": "{0.5: 1.0}"}}
    return {"x/chunk-7-trace.csv": windows, "x/chunk-7-dataset.json": json.dumps(dataset)}


@pytest.mark.parametrize(("family", "shape"), [("Gamma", 0.5), ("Weibull", 0.5), ("Gamma", 3.0)])
def test_servegen_arrivals_have_the_recorded_rate(
    tmp_path: Path, family: str, shape: float
) -> None:
    clients = servegen.load(archive(tmp_path, client(2.0, family, shape)))
    calls = list(servegen.sample(clients, 1))
    assert len(calls) == pytest.approx(2.0 * 600 * 12, rel=0.06)
    assert all(a.at_s <= b.at_s for a, b in pairwise(calls))


def test_servegen_draws_input_and_output_independently(tmp_path: Path) -> None:
    clients = servegen.load(archive(tmp_path, client()))
    pairs = Counter((c.input_tokens, c.output_tokens) for c in servegen.sample(clients, 1))
    total = sum(pairs.values())
    assert len(pairs) == 4
    assert all(count / total == pytest.approx(0.25, abs=0.02) for count in pairs.values())


def test_servegen_reasoning_tokens_are_the_recorded_share(tmp_path: Path) -> None:
    calls = list(servegen.sample(servegen.load(archive(tmp_path, client())), 1, span_s=600))
    assert {call.kind for call in calls} == {"reasoning"}
    assert all(call.reasoning_tokens == round(call.output_tokens / 2) for call in calls)


def test_servegen_clients_without_histograms_borrow_tokens(tmp_path: Path) -> None:
    members = {"m/chunk-1-trace.csv": "0,1,1,Gamma,1,1\n"}
    trace = open_trace(str(archive(tmp_path, members)), 1)
    calls = list(trace.calls())
    assert calls
    assert {call.kind for call in calls} == {"chat"}
    assert any("drawn from Azure 2023" in phrase for phrase in trace.joined)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"a/chunk-1-trace.csv": "0,1,1,Pareto,1,1\n"}, "line 1: family is 'Pareto'"),
        ({"a/chunk-1-trace.csv": "0,1\n"}, "chunk-1-trace.csv, line 1: 2 columns"),
        ({"a/chunk-1-trace.csv": "0,1,1,Gamma,0,1\n"}, "shape 0 and scale 1: expected above 0"),
        ({"a/other.csv": ""}, "no chunk-N-trace.csv inside"),
        (
            {"a/chunk-1-trace.csv": "0,1,1,Gamma,1,1\n", "a/chunk-1-dataset.json": "{"},
            "chunk-1-dataset.json",
        ),
    ],
)
def test_a_bad_servegen_member_is_named(
    tmp_path: Path, members: dict[str, str], message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        list(open_trace(str(archive(tmp_path, members)), 1).calls())
    assert message in str(caught.value)


@pytest.mark.parametrize("name", sorted(PACKAGED))
def test_packaged_traces_are_in_order_and_the_same_at_every_reading(name: str) -> None:
    trace = open_trace(name, 5)
    first, second = ([*islice(trace.calls(), 1_000)] for _ in range(2))
    assert first == second
    assert all(a.at_s <= b.at_s for a, b in pairwise(first))
    assert trace.sources
    assert trace.recorded


def test_the_default_trace_has_over_twenty_thousand_recorded_calls() -> None:
    kinds = Counter(call.kind for call in open_trace("mixed", 1).calls())
    assert kinds["chat"] == 19_366
    assert kinds["chat"] + kinds["agent"] > 20_000
    assert kinds["reasoning"] > 1_000


def test_another_seed_draws_other_starts_but_the_same_recorded_calls() -> None:
    first, second = (
        list(claude_code.read(DATA / "claude_code_sessions.csv.gz", n)) for n in (1, 2)
    )
    assert [call.input_tokens for call in first] != [call.input_tokens for call in second]
    assert sorted(call.input_tokens for call in first) == sorted(c.input_tokens for c in second)


@pytest.mark.parametrize(
    ("text", "message"), [("a,b,c\n1,2,3\n", "unknown columns"), ("", "unknown columns")]
)
def test_a_file_of_another_kind_is_refused_with_what_was_expected(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        open_trace(str(write(tmp_path, text)), 1)


def test_a_missing_file_is_refused_with_the_packaged_names() -> None:
    with pytest.raises(ConfigError, match="mixed, azure, sessions, servegen"):
        open_trace("nowhere.csv", 1)


def test_a_binary_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(b"\xff\xfe\x00\x01" * 50)
    with pytest.raises(ConfigError, match="not a text file"):
        open_trace(str(path), 1)


def test_the_packaged_data_stays_small_and_names_its_licences() -> None:
    files = list(DATA.iterdir())
    assert sum(file.stat().st_size for file in files) < 2_000_000
    text = (DATA / "README.md").read_text()
    for file in files:
        assert file.name in (*text.split("`"), "README.md")
    assert "CC-BY 4.0" in text
    assert "Apache-2.0" in text
