"""Words that readers would trip over do not come back."""

from __future__ import annotations

import re

import pytest

from tests.places import ROOT

FOLDERS = ("bench", "docs", "examples", "schemas", "sql", "stream_jobs", "tests/golden")
SUFFIXES = {".json", ".md", ".py", ".sql"}

PREFERRED = {
    r"\bcan(\s+|\s*#\s*)not\b": "cannot",
}


@pytest.mark.parametrize("folder", FOLDERS)
def test_texts_use_the_preferred_spelling(folder: str) -> None:
    paths = [path for path in (ROOT / folder).rglob("*") if path.suffix in SUFFIXES]
    assert paths, folder
    for path in paths:
        text = path.read_text(encoding="utf-8")
        for pattern, preferred in PREFERRED.items():
            found = re.search(pattern, text, re.IGNORECASE)
            assert found is None, f"{path}: {found.group()!r} is spelled {preferred!r}"
