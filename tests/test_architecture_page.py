"""docs/architecture.md shows the rooms as they are: ROOMS, and what each room says of itself.

`python -m tests.test_architecture_page` writes the table after a room was added or renamed.
"""

from __future__ import annotations

import ast

from tests.places import ROOT
from tests.test_architecture import ROOMS, SOURCES

PAGE = ROOT / "docs" / "architecture.md"
BEGIN = "<!-- begin: rooms, written by `python -m tests.test_architecture_page` -->"
END = "<!-- end -->"


def purpose(room: str) -> tuple[str, str]:
    """Return the path of a room below the root and the first sentence of its docstring."""
    base = SOURCES[room.split(".", maxsplit=1)[0]].joinpath(*room.split("."))
    is_folder = base.is_dir()
    source = base / "__init__.py" if is_folder else base.with_suffix(".py")
    text = ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or ""
    sentence = text.split("\n\n", maxsplit=1)[0].replace("\n", " ").replace("|", "\\|")
    path = str((base if is_folder else source).relative_to(ROOT))
    return path + "/" if is_folder else path, sentence


def table() -> str:
    rows = ["| floor | room | what it is for |", "|---|---|---|"]
    for floor, rooms in enumerate(ROOMS):
        for room in rooms:
            path, sentence = purpose(room)
            rows.append(f"| {floor} | `{path}` | {sentence} |")
    return "\n".join(rows)


def written(page: str) -> str:
    return page.partition(BEGIN)[2].partition(END)[0].strip()


def replaced(page: str) -> str:
    before, found, rest = page.partition(BEGIN)
    assert found, f"{PAGE} lacks the line {BEGIN}"
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{rest.partition(END)[2]}"


def test_the_page_shows_every_room_on_its_floor() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert written(page) == table(), "run `python -m tests.test_architecture_page`"


def test_every_room_says_what_it_is_for() -> None:
    for rooms in ROOMS:
        for room in rooms:
            assert len(purpose(room)[1].split()) >= 3, room


if __name__ == "__main__":
    PAGE.write_text(replaced(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
