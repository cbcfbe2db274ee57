"""detect.yaml as a whole: what is decided by, and who is notified of it.

Its bytes are read once, so that no two versions of it are in force, and everything that is wrong
with it is one error.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from tokentide_jobs.core.alert.alert_rules import AlertRules
from tokentide_jobs.core.decide.detect_rules import DetectRules
from tokentide_jobs.io.files.alert_file import AlertFile, alerts_of
from tokentide_jobs.io.files.detect_file import detect_content, detect_rules
from tokentide_jobs.io.files.yaml_entries import Problems, sections

__all__ = ["load_detect_file"]


def load_detect_file(
    path: Path | None, environment: Mapping[str, str] = os.environ
) -> tuple[DetectRules, AlertFile]:
    """Read all sections of the file.

    Args:
        path: The file that `TOKENTIDE_DETECT_FILE` names; None: every default holds.
        environment: Where secrets are looked up.

    Raises:
        ConfigError: It cannot be read, or something is wrong; the message lists every problem with
            its line.
    """
    if path is None:
        return DetectRules(), AlertFile(AlertRules(), ())
    problems = Problems(str(path), "rules of detection")
    nodes = sections(detect_content(path), problems)
    rules, alerts = detect_rules(nodes, problems), alerts_of(nodes, environment, problems)
    problems.raise_if_any()
    return rules, alerts
