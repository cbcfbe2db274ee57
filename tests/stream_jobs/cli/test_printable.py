"""No data reaches a terminal as anything but text."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tests.each import each
from tokentide_jobs.cli import dlq, screen, summary
from tokentide_jobs.cli.main import main
from tokentide_jobs.cli.printable import escape_what_cannot_be_encoded, printable
from tokentide_jobs.tasks.dead_letters import Place, Reason, StoredDeadLetter
from tokentide_jobs.tasks.summary import DIMENSIONS, SpendGroup, Summary

HOSTILE = "a\x1b]0;owned\x07b\x9b31mc\rd\x08e\u202ef\u2066g\x00h"
STYLES = re.compile(r"\x1b\[[0-9;]*m")


def obeyed(text: str) -> list[str]:
    """Return what a terminal would obey or not show, besides line ends."""
    kinds = ("Cc", "Cf", "Zl", "Zp", "Cs")
    return [c for c in text if c != "\n" and unicodedata.category(c) in kinds]


@given(st.text())
def test_whatever_comes_in_nothing_to_obey_comes_out(text: str) -> None:
    assert obeyed(printable(text)) == []


@given(st.text(st.characters(categories=("L", "N", "P", "S"))))
def test_letters_numbers_and_signs_stay_as_they_are(text: str) -> None:
    assert printable(text) == text


def test_every_character_that_is_not_seen_is_escaped() -> None:
    unseen = [chr(code) for code in range(0x110000) if unicodedata.category(chr(code)) == "Cf"]
    assert [c for c in unseen if c in printable(c)] == []
    assert printable("gpt\u200b-5\u2060\ufeff\U000e0041") == r"gpt\u200b-5\u2060\ufeff\U000e0041"


def test_escapes_are_those_of_a_programmer() -> None:
    assert printable("a\x1b[2J\r\n\t\x9b\u202e\ud800é😀") == (r"a\x1b[2J\r\n\t\x9b\u202e\ud800é😀")
    assert printable("a\nb\tc", keep="\n") == "a\nb\\tc"


def drawn(write: Callable[[Console], None], monkeypatch: pytest.MonkeyPatch) -> str:
    """Draw on a terminal with colours and return what it gets, without the colours."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setenv("TERM", "xterm-256color")
    write(screen.console(width=200))
    return STYLES.sub("", stream.getvalue())


def test_the_console_escapes_what_a_command_forgot(monkeypatch: pytest.MonkeyPatch) -> None:
    def forgetful(terminal: Console) -> None:
        table = Table()
        table.add_column("heading")
        table.add_row(Text(HOSTILE, "red"))
        terminal.print(table)
        terminal.print(HOSTILE)
        terminal.print(Text(HOSTILE))

    assert obeyed(drawn(forgetful, monkeypatch)) == []


def test_dead_letters_are_shown_without_obeying_them(monkeypatch: pytest.MonkeyPatch) -> None:
    at = datetime(2026, 11, 18, tzinfo=UTC)
    hostile_json = json.dumps({"tags": {"x": HOSTILE}}).encode()
    for value in (HOSTILE.encode(), hostile_json, b"\xff\x1b[2J"):
        refused = StoredDeadLetter(
            Place("log", HOSTILE, 0, 7, 0), HOSTILE, "tags.x", HOSTILE, value, at, at, HOSTILE,
            HOSTILE, HOSTILE, HOSTILE, HOSTILE, "open",
        )  # fmt: skip
        reason = Reason(HOSTILE, HOSTILE, 3, 2, at, HOSTILE)
        for draw in (
            lambda terminal, found=refused: dlq._show_dead_letter(found, terminal),
            lambda terminal, found=refused: dlq._show_dead_letters([found], terminal),
            lambda terminal, found=reason: dlq._show_reasons([found], terminal),
        ):
            text = drawn(draw, monkeypatch)
            assert obeyed(text) == []
            assert r"\x1b" in text


def test_names_are_data_and_no_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    group = SpendGroup(name="[bold red]acme[/]" + HOSTILE, requests=3, cost_pico_usd=10**12)
    view = Summary(0, 10, group, {dimension: [group] for dimension in DIMENSIONS})
    text = drawn(lambda terminal: terminal.print(summary.summary_view(view)), monkeypatch)
    assert "[bold red]acme[/]" in text
    assert obeyed(text) == []


def test_raw_bytes_are_escaped_on_a_terminal_and_only_there(
    monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    screen.write_bytes(b"\x1b[2J\xff")
    assert capfdbinary.readouterr().out == b"\x1b[2J\xff"
    text = drawn(lambda _terminal: screen.write_bytes(b"\x1b[2J\xff"), monkeypatch)
    assert text == r"\x1b[2J\xff"


def test_text_that_the_encoding_lacks_is_escaped_instead_of_crashing() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", write_through=True)
    escape_what_cannot_be_encoded(stream)
    print("é \ud800 ok", file=stream)
    assert stream.buffer.getvalue() == rb"\xe9 \ud800 ok" + b"\n"


@pytest.mark.integration
def test_a_command_under_an_ascii_locale_runs_to_its_end() -> None:
    environ = {"PATH": os.environ["PATH"], "PYTHONIOENCODING": "ascii", "TOKENTIDE_GROUP": "größe"}
    done = subprocess.run(
        [sys.executable, "-m", "tokentide_jobs", "config"], capture_output=True, text=True,
        check=False, env=environ, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert r"gr\xf6\xdfe" in done.stdout


@each(
    "arguments",
    [
        ("void", f"\x1b[31m{'x' * 100_000}", "--reason", "test"),
        ("explain", f"\x1b[31m{'x' * 100_000}"),
        ("runs", "show", f"\x1b[31m{'x' * 100_000}"),
        (f"\x1b[31m{'x' * 100_000}",),
        ("explain", "\x1b[31m\r\x85\u2028" + "\x1b" * 5_000),
    ],
)
def test_an_error_shows_no_control_character_and_no_value_of_any_length(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    printed = capsys.readouterr().err
    assert not any(sign in printed for sign in "\x1b\r\x85\u2028")
    assert "\\x1b[31m" in printed
    assert len(printed) < 5_000
    assert "characters …" in printed
