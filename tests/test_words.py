"""Words that readers would trip over do not come back, neither in texts nor in names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from tests.each import each
from tests.places import ROOT
from tests.sources import source_of

FOLDERS = (
    "bench",
    "dashboards",
    "docs",
    "examples",
    "producers",
    "schemas",
    "sql",
    "stream_jobs",
    "tests",
)
SUFFIXES = {".json", ".md", ".py", ".sql"}

PREFERRED = {
    r"\bcan(\s+|\s*#\s*)not\b": "cannot",
    r"\banew\b": "again",
}
PLAIN = {
    "anybody": "any user, process or caller",
    "nobody": "what is missing (no reader, no owner, no answer), or unknown",
    "somebody": "who it is: a user, the on-call engineer, another process",
    "told": "notified, reported, given, set, or separated",
    "whoever": "the caller, the successor, the next owner, every reader",
}
"""Words that leave open who acts, in texts and in parts of names, and what to write instead."""
COLLOQUIAL = re.compile(rf"(?<![A-Za-z])({'|'.join(PLAIN)})(?![A-Za-z])", re.IGNORECASE)
NAMES_OF_OURS = re.compile(r"tokentide-nobody|nobody@localhost|\(\"nobody\", \"webhook\",")
"""The contact point that leads nowhere: services that were set up have it by this name."""
BAD_EVENTS = re.compile(r"\bbad[\s#]+events?\b|\bevents?[\s#]+(is|are|was|were)[\s#]+bad\b")
"""An event that breaks the contract is refused; a bad one is what an objective counts."""

NAMED = ("bench", "dashboards", "examples", "producers", "schemas", "stream_jobs", "tests")
RETIRED = {
    "dearest": "most expensive",
    "doubt": "unknown or uncertain",
    "doubtful": "uncertain",
    "doubts": "uncertain",
    "grand": "total",
    "heard": "received, answered or published",
    "kin": "related",
    "leash": "parent",
    "lighten": "reduce",
    "misfortune": "failure",
    "narration": "progress",
    "patience": "timeout",
    "rejection": "dead_letter",
    "rejections": "dead_letters",
    "ripe": "judgeable",
    "said": "what it is: answer, message, text or fields",
    "suspicions": "unconfirmed failures",
    "taught": "learned",
    "tend": "restart or maintain",
    "told": "reported",
    "trainee": "training_broker",
    "twin": "probe_table",
    "unborn": "unstarted",
    "unsaid": "unspecified",
    "untold": "unreported",
    "weariness": "throttle",
    "wrongs": "problems",
}
"""Parts of names that only this house understood, and what the thing is called now."""
PUBLIC = {"heard_s": "how long ago the control topic was read: services ask for it by this name"}
NO_NAMES = re.compile(r"--[^\n]*|'(?:[^'\\]|\\.|'')*'")
"""Comments and texts in SQL."""
BARE = re.compile(r"(?:^|_)(?<!dead_)letters?(?:_|$)")
"""A dead letter is one; a letter alone is a character."""
STATING = re.compile(r"(Whether|Is|Are|Has|Was|Does)\b")
"""Beginnings of sentences that state what holds, where a docstring is to be imperative."""


@each("folder", FOLDERS)
def test_texts_use_the_preferred_spelling(folder: str) -> None:
    paths = [
        path
        for path in (ROOT / folder).rglob("*")
        if path.suffix in SUFFIXES and path.parent.name != "migrations"  # released: never changed
    ]
    assert paths, folder
    for path in paths:
        text = path.read_text(encoding="utf-8")
        for pattern, preferred in PREFERRED.items():
            found = re.search(pattern, text, re.IGNORECASE)
            assert found is None, f"{path}: {found.group()!r} is spelled {preferred!r}"


@each("folder", [*FOLDERS, ""])
def test_texts_name_who_acts(folder: str) -> None:
    """`""`: the pages at the top; migrations and released schemas never change."""
    paths = (ROOT / folder).rglob("*") if folder else ROOT.glob("*.md")
    texts = {
        path: NAMES_OF_OURS.sub("", path.read_text(encoding="utf-8"))
        for path in paths
        if path.suffix in SUFFIXES and path.parent.name not in ("migrations", "released")
    }
    texts.pop(Path(__file__), None)
    assert texts, folder
    wrong = [
        f"{path}:{text[: found.start()].count(chr(10)) + 1}: {found.group()!r}: "
        f"write {PLAIN[found.group().lower()]}"
        for path, text in texts.items()
        for found in COLLOQUIAL.finditer(text)
    ]
    assert wrong == []


def retired(names: Iterable[tuple[str, int]]) -> Iterator[str]:
    """Yield what is wrong with names; those of tests are sentences."""
    for name, line in names:
        if name not in PUBLIC and not name.startswith("test_"):
            for part in RETIRED.keys() & name.lower().split("_"):
                yield f"{line}: {name}: say {RETIRED[part]}"


@each("folder", FOLDERS)
def test_what_is_refused_is_called_so(folder: str) -> None:
    wrong = [
        f"{path}: {found.group()!r}"
        for path in (ROOT / folder).rglob("*")
        if path.suffix in SUFFIXES and "slo" not in str(path.relative_to(ROOT))
        if (found := BAD_EVENTS.search(path.read_text(encoding="utf-8")))
    ]
    assert wrong == []


@pytest.mark.parametrize("folder", NAMED)
def test_names_use_the_words_of_the_field(folder: str) -> None:
    wrong = [
        f"{path}:{found}"
        for path in (ROOT / folder).rglob("*.py")
        for found in retired(source_of(path).names)
    ]
    assert wrong == []


def test_names_in_sql_use_the_words_of_the_field() -> None:
    paths = list((ROOT / "sql").rglob("*.sql"))
    assert paths
    for path in paths:
        lines = NO_NAMES.sub("", path.read_text(encoding="utf-8")).splitlines()
        names = [(name, n) for n, line in enumerate(lines, 1) for name in re.findall(r"\w+", line)]
        assert list(retired(names)) == [], path


@pytest.mark.parametrize("folder", ["stream_jobs", "dashboards"])
def test_a_dead_letter_is_called_by_both_words(folder: str) -> None:
    wrong = [
        f"{path}:{line}: {name}"
        for path in (ROOT / folder).rglob("*.py")
        for name, line in source_of(path).names
        if not name.startswith("test_") and BARE.search(name.lower())
    ]
    assert wrong == []


@each("folder", NAMED)
def test_the_docstring_of_a_function_is_in_the_imperative(folder: str) -> None:
    """Ruff's D401 knows verbs, and takes these words for none."""
    wrong = [
        f"{path}:{line}: {text.splitlines()[0]}: write 'Return whether …', or what it does"
        for path in (ROOT / folder).rglob("*.py")
        for text, line in source_of(path).docstrings
        if STATING.match(text)
    ]
    assert wrong == []
