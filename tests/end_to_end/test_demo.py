"""`tokentide demo`, as a person runs it: real traffic in, a summary and a proof out."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands import command
from tests.prepared import Prepared
from tests.sampling import IS_THOROUGH, in_thorough

pytestmark = pytest.mark.integration

CALLS = 20_000 if IS_THOROUGH else 2_500
PART = () if IS_THOROUGH else ("--limit", str(CALLS))
"""A tenth of the recorded hour is enough to see every line of the screen."""


def tokentide(*arguments: str, timeout_s: float = 900) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tokentide_jobs", *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=timeout_s)


def number(pattern: str, text: str) -> int:
    match = re.search(pattern, text)
    assert match is not None, f"{pattern} is not in:\n{text}"
    return int(match[1].replace(",", ""))


def dollars(text: str) -> float:
    if text == "no cost":
        return 0.0
    return float(text.lstrip("<").replace("$", "").replace(",", ""))


AMOUNT = r"(<?\$[\d,.]+|no cost)"


def assert_parts_add_up(pattern: str, shown: str, total: int) -> None:
    """Assert that a line `total = part + part …` is there, and right."""
    found = re.search(pattern, shown, re.DOTALL)
    assert found is not None, f"{pattern} is not in:\n{shown}"
    parts = [
        int(n.replace(",", ""))
        for n in re.findall(r"(?:^|\+ )([\d,]+)", " ".join(found[2].split()))
    ]
    assert len(parts) >= 2
    assert sum(parts) == int(found[1].replace(",", "")) == total


def assert_the_blocks_add_up(shown: str) -> None:
    """Every block of the screen is about the same requests, errors and money.

    Amounts are rounded to cents, so sums of n of them differ by at most n half cents.
    """
    spent, requests = re.search(r"\$([\d,.]+) +spent on ([\d,]+) requests", shown).groups()  # type: ignore[union-attr]
    total, total_usd = int(requests.replace(",", "")), dollars(spent)
    failed = number(r"failed ([\d,]+), [\d.]+%", shown)

    models, _, below = shown.partition("\nmodel ")[2].partition("\nteam ")
    row = re.compile(rf"^(\S.*?) +([\d,]+) +{AMOUNT} ", re.MULTILINE)
    rows = [(found[2], found[3]) for found in row.finditer(models)]
    assert len(rows) >= 5
    assert sum(int(n.replace(",", "")) for n, _usd in rows) == total
    assert sum(dollars(usd) for _n, usd in rows) == pytest.approx(total_usd, abs=0.005 * len(rows))

    sides = below.partition("\n\n")[0].splitlines()[1:]
    middle = shown.partition("\nteam ")[2].partition("\n")[0].index("tenant") + len("team ")
    for column in (slice(0, middle), slice(middle, None)):
        cells = [re.search(rf" ([\d,]+) +{AMOUNT}", " " + line[column]) for line in sides]
        found = [(cell[1], cell[2]) for cell in cells if cell is not None]
        assert sum(int(n.replace(",", "")) for n, _usd in found) == total
        spent_usd = sum(dollars(usd) for _n, usd in found)
        assert spent_usd == pytest.approx(total_usd, abs=0.005 * len(found))

    assert_parts_add_up(r"([\d,]+) requests = (.*?)\n *\n", shown, total)
    assert_parts_add_up(
        r"([\d,]+) events = (\d.*? replayed.*?)\n *\n",
        shown,
        number(r"verified +([\d,]+) ev", shown),
    )
    sent = re.search(r"sent ([\d,]+) events .*: ([\d,]+) calls, ([\d,]+) evaluations", shown)
    assert sent is not None
    events, calls, others = (int(text.replace(",", "")) for text in sent.groups())
    assert events == calls + others

    if without := re.search(r"([\d,]+) without a cost \((.*?)\)", " ".join(shown.split())):
        causes = [int(n.replace(",", "")) for n in re.findall(r"([\d,]*\d) no ", without[2])]
        assert sum(causes) == int(without[1].replace(",", ""))

    kinds = re.search(r"^errors +([\d,]+): (.*); [\d,]+ retries", shown, re.MULTILINE)
    if failed:
        assert kinds is not None
        found = re.findall(r"([\d,]*\d) ([a-z ]+)", kinds[2])
        by_kind = {kind: int(n.replace(",", "")) for n, kind in found}
        assert sum(by_kind.values()) == int(kinds[1].replace(",", ""))
        assert sum(by_kind.values()) - by_kind.get("rate limit", 0) == failed


def assert_every_fault_was_noticed(shown: str) -> None:
    """Below each fault stands the alert about it, soon enough, and what it costs."""
    assert number(r"a week of ([\d,]+) calls sent and stored", shown) >= 50_000
    assert number(r"an hour of ([\d,]+) calls judged", shown) >= 500
    for fault, words, within_s in (  # twice what was measured, in the time of the events
        ("prompt v14 of support-chat", "tokens_per_request of (service=support|provider=)", 2_400),
        ("provider google", " of (provider=google|service=search-answers) ", 600),
        ("run triage-4711", "run triage-4711 .* repeats one step", 30),
    ):  # fmt: skip
        below = shown.partition(f"injected: {fault}")[2]
        below = " ".join(re.split("injected: |besides ", below)[0].split())
        found = re.search(r"\+([\d,]+) s (.*?) a (page|ticket)", below)
        assert found is not None, shown
        assert 0 < int(found[1].replace(",", "")) <= within_s, below
        assert re.search(words, found[2]), below
    assert "not found" not in shown
    assert "Injected: the three faults; nothing else fails." in " ".join(shown.split())


def test_the_demo_shows_what_traffic_costs_proves_it_and_leaves_it_to_look_at(
    tmp_path: Path,
) -> None:
    done = tokentide("demo", *PART, "--data-dir", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    shown = done.stdout
    assert number(r"replaying ([\d,]+) calls", shown) >= CALLS
    assert number(r"verified +([\d,]+) events in Kafka", shown) >= CALLS
    assert "0 lost, 0 duplicated" in shown
    assert "to the pico-dollar as the rows" in " ".join(shown.split())
    for word in (
        "claude-opus-4-5-20251101", "gpt-6.1-terra", "gemini-3.8-flash", "mistral-medium-3-5",
        "no cost", "developer-tools", "aurora-health", "p50", "p95", "ttft", "caching   saved",
        "errors", "tok/s", "events/s, end to end", "event to queryable row", "try next",
    ):  # fmt: skip
        assert word in shown, word
    assert "Traceback" not in done.stderr
    assert_the_blocks_add_up(shown)
    sentences = " ".join(shown.split())
    for origin in ("Recorded:", "Derived:", "Drawn by seed", "Made up:"):
        assert origin in sentences, origin
    assert "No latency or error rate here is a provider's." in sentences
    assert re.search(r"[\d,]+ without a cost \([\d,]+ no price, [\d,]+ no usage reported\)",
                     " ".join(shown.split()))  # fmt: skip
    assert not (tmp_path / "stack.json").exists()
    assert_every_fault_was_noticed(shown.partition("What is noticed")[2])
    tables = [line for line in shown.splitlines() if "replaying" not in line]
    assert max(len(line) for line in tables if str(tmp_path) not in line) <= 100


@in_thorough  # test_stack_restart.py starts a stack on what another one stored
def test_a_second_demo_adds_to_what_the_first_one_stored(tmp_path: Path) -> None:
    where = ("--data-dir", str(tmp_path), "--limit", "400", "--no-incidents")
    first, both = (tokentide("demo", *where, "--seed", seed) for seed in ("1", "2"))
    for done in (first, both):
        assert done.returncode == 0, done.stdout + done.stderr
        assert_the_blocks_add_up(done.stdout)
    in_kafka = [number(r"verified +([\d,]+) events in Kafka", d.stdout) for d in (first, both)]
    assert in_kafka[1] >= in_kafka[0] + 400


def test_commands_find_the_running_stack_by_its_directory(
    tmp_path: Path, prepared: Prepared
) -> None:
    prepared(tmp_path)
    up = subprocess.Popen(
        [
            sys.executable, "-m", "tokentide_jobs", "up", "--json", "--data-dir", str(tmp_path),
            "--broker", "tansu", "--kafka-port", "0", "--clickhouse-port", "0", "--no-detect",
        ],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert up.stdout is not None
        ready = json.loads(up.stdout.readline())
        where = ("--data-dir", str(tmp_path))
        sent = tokentide("replay", "azure", "--limit", "300", "--rate", "600", "--live", *where)
        assert sent.returncode == 0, sent.stderr
        assert "recorded" in sent.stdout
        assert "joined" in sent.stdout
        assert "Azure LLM inference trace 2023" in sent.stdout
        assert "Kafka has acknowledged all of them" in " ".join(sent.stdout.split())
        more = tokentide("replay", "azure", "--limit", "5", "--flat-out", "--json", *where)
        answer = json.loads(more.stdout)
        assert (answer["requests"], answer["lost"], answer["bootstrap"]) == (5, 0, ready["kafka"])
        status = command("status", *where)
        assert status.returncode == 0, status.stdout
        assert "1 of 1 ready; 1 in the consumer group" in status.stdout
        verified = command("verify", "--json", "--wait", "120", *where)
        assert verified.returncode == 0, verified.stdout
        assert json.loads(verified.stdout)["raw_events"] >= 300
        top = command("top", "--once", "--minutes", "5", *where)
        assert top.returncode == 0, top.stderr
        assert "305 requests" in top.stdout
        assert "support-chat" not in top.stderr
        created = command("topics", "--json", *where)
        assert json.loads(created.stdout)["created"] == [], "the stack made them"
        demo = tokentide("demo", "--limit", "200", "--no-incidents", "--json", *where)
        assert demo.returncode == 0, demo.stdout + demo.stderr
        assert f"(pid {ready['pid']})" in demo.stderr
        found = json.loads(demo.stdout)
        assert (found["ok"], found["verify"]["ok"], found["incidents_noticed"]) == (
            True,
            True,
            None,
        )
        assert (found["sent"]["requests"], found["sent"]["lost"]) == (200, 0)
        assert_the_blocks_add_up(demo.stderr)
        assert found["summary"]["total"]["requests"] == number(r"([\d,]+) requests =", demo.stderr)
        assert found["seconds_to_queryable_row"]["seen"] >= 1
        assert up.poll() is None, "a demo must not stop a stack that it did not start"
        settings = command("config", "--json", *where)
        source = json.loads(settings.stdout)["TOKENTIDE_KAFKA_BOOTSTRAP"]
        assert source["value"] == ready["kafka"]
        assert source["source"].endswith("stack.json")
    finally:
        up.terminate()
        up.communicate(timeout=60)
