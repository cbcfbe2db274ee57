"""A command run in the test's process returns what one in a process of its own would."""

from __future__ import annotations

import json
import sys

from tests.commands import command


def test_code_output_and_errors_are_kept_apart() -> None:
    before = (sys.stdout, sys.stderr)
    done = command("config", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert "TOKENTIDE_KAFKA_BOOTSTRAP" in json.loads(done.stdout)
    refused = command("verify", "--offsets", "nonsense")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "nonsense" in refused.stderr
    assert (sys.stdout, sys.stderr) == before
