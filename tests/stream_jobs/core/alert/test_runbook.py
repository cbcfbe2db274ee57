"""Every alert has a section of docs/alerts.md that says the same first action."""

from __future__ import annotations

import re

from tests.each import each
from tests.places import ROOT
from tokentide_jobs.core.alert.runbook import FIRST_ACTIONS

PAGE = (ROOT / "docs" / "alerts.md").read_text(encoding="utf-8")


@each("slug", FIRST_ACTIONS)
def test_a_runbook_is_a_section_of_the_page(slug: str) -> None:
    section = re.search(rf"^### {slug}\n\n(.+?)(?=\n\n|\n?\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert section is not None, slug
    assert FIRST_ACTIONS[slug][1:] in section[1]
