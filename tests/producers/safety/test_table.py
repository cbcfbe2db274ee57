"""The table of complaints names tests that exist."""

from __future__ import annotations

import re

from tests.places import ROOT


def test_every_test_that_the_guide_names_exists() -> None:
    guide = (ROOT / "docs" / "producer.md").read_text()
    named = set(re.findall(r"`(test_\w+)`", guide))
    defined = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^(?:async )?def (test_\w+)", path.read_text(), re.M)
    }
    assert len(named) > 40
    assert named <= defined, sorted(named - defined)
