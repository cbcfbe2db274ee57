"""Type checkers find a name, a word or a type that the contract does not know, and nothing else."""

from __future__ import annotations

import gc
import json
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import mypy.api
import pytest

from tests.places import ROOT

USES = Path(__file__).with_name("typed_uses.py")
IGNORE = re.compile(r"  # type: ignore\[[a-z-]+\]")


@pytest.fixture
def uses(tmp_path: Path) -> Path:
    """Return the uses without the ignores, as a service would have written them."""
    copy = tmp_path / "uses.py"
    copy.write_text(IGNORE.sub("", USES.read_text()))
    return copy


def wrong(path: Path) -> dict[int, str]:
    """Return the word that the error of a line has to name, by line."""
    lines = path.read_text().splitlines()
    marked = ((number, line.partition("# wrong: ")[2]) for number, line in enumerate(lines, 1))
    return {number: word for number, word in marked if word}


def check(found: dict[int, list[str]], uses: Path) -> None:
    expected = wrong(uses)
    assert len(expected) > 15
    assert found.keys() == expected.keys(), {
        line: found.get(line) for line in found.keys() ^ expected.keys()
    }
    for line, word in expected.items():
        assert any(word in text for text in found[line]), (line, word, found[line])


@pytest.fixture
def unchanged_process() -> Iterator[None]:
    """Mypy changes what holds for the whole process; the tests after this one get it back."""
    limit, threshold = sys.getrecursionlimit(), gc.get_threshold()
    yield
    sys.setrecursionlimit(limit)
    gc.set_threshold(*threshold)


@pytest.mark.usefixtures("unchanged_process")
def test_mypy_finds_every_wrong_use(uses: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Its settings are the repository's, so that it reads what `make typecheck` has read already.
    monkeypatch.chdir(ROOT)
    output, errors, _code = mypy.api.run([str(uses), "--no-error-summary", "--hide-error-context"])
    assert errors == ""
    found = defaultdict(list)
    for line in output.splitlines():
        place, _, text = line.partition(": error: ")
        if text:
            path, _, number = place.rpartition(":")
            assert Path(path).name == uses.name, line
            found[int(number)].append(text)
    check(found, uses)


@pytest.mark.integration
@pytest.mark.skipif(shutil.which("pyright") is None, reason="no pyright: see CONTRIBUTING.md")
def test_pyright_finds_every_wrong_use(uses: Path) -> None:
    settings = {
        "include": [str(uses)],
        "extraPaths": [str(ROOT / "producers")],
        "typeCheckingMode": "standard",
        "reportMissingImports": "none",
    }
    (uses.parent / "pyrightconfig.json").write_text(json.dumps(settings))
    command = ["pyright", "--outputjson", "--pythonpath", sys.executable]
    done = subprocess.run(command, check=False, cwd=uses.parent, capture_output=True, timeout=300)
    found = defaultdict(list)
    for one in json.loads(done.stdout)["generalDiagnostics"]:
        if one["severity"] == "error":
            found[one["range"]["start"]["line"] + 1].append(one["message"])
    check(found, uses)
