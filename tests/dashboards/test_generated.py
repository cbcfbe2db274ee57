"""The committed files are what the builders write, and there is no other."""

from __future__ import annotations

from tokentide_dashboards.generated import HERE, files

COMMAND = "run `python -m tokentide_dashboards`"


def test_committed_files_are_what_the_builders_write() -> None:
    for name, text in files().items():
        path = HERE / name
        assert path.exists(), f"{name} is missing: {COMMAND}"
        assert path.read_text(encoding="utf-8") == text, f"{name} is old: {COMMAND}"


def test_no_file_of_a_board_is_left_that_no_builder_writes() -> None:
    written = {name for name in files() if name.parts[0] == "json"}
    assert {path.relative_to(HERE) for path in (HERE / "json").iterdir()} == written
