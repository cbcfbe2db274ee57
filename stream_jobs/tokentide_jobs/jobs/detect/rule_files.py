"""The files that detection is configured by, read again when they change.

A file that is refused changes nothing: what was in force stays, and the reason is shown until the
file is right again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from tokentide_jobs.core.budget.budget import Budget
from tokentide_jobs.core.decide.detect_rules import DetectRules
from tokentide_jobs.core.slo.slo import Slo
from tokentide_jobs.errors import ConfigError
from tokentide_jobs.io.files.alert_file import AlertFile
from tokentide_jobs.io.files.budget_file import load_budgets
from tokentide_jobs.io.files.slo_file import load_slos
from tokentide_jobs.io.files.whole_detect_file import load_detect_file

__all__ = ["InForce", "RuleFiles"]


@dataclass(frozen=True, slots=True)
class InForce:
    """What is decided by now."""

    rules: DetectRules
    budgets: tuple[Budget, ...]
    alerts: AlertFile
    slos: tuple[Slo, ...] = ()


class RuleFiles:
    """detect.yaml, budgets.yaml and slos.yaml of this installation; read when created.

    Args:
        detect_file: None: every default holds.
        budgets_file: None: there are no budgets.
        slos_file: None: there are no SLOs.
        time: What closes windows; no file sets it.

    Attributes:
        in_force: The newest that was whole.
        problem: Why a file that is there now is not in force; empty: it is.

    Raises:
        ConfigError: A file is wrong, and nothing is in force yet.
    """

    def __init__(
        self,
        detect_file: Path | None,
        budgets_file: Path | None,
        slos_file: Path | None = None,
        *,
        time: Literal["clock", "recorded"] = "clock",
    ) -> None:
        self._time = time
        self._detect_file = detect_file
        self._budgets_file = budgets_file
        self._slos_file = slos_file
        self._stamps = self._looked_at()
        self.in_force = self._read()
        self.problem = ""

    def changed(self) -> bool:
        """Look whether a file changed; tell whether something else is in force now."""
        stamps = self._looked_at()
        if stamps == self._stamps:
            return False
        self._stamps = stamps
        before = self.in_force
        try:
            self.in_force, self.problem = self._read(), ""
        except ConfigError as exc:
            self.problem = f"what was in force before stays in force: {exc}"
        except Exception as exc:  # whatever is in a file, it ends no worker that runs
            self.problem = f"what was in force before stays in force, a defect: {exc!r}"
        return self.in_force != before

    def _read(self) -> InForce:
        budgets = load_budgets(self._budgets_file) if self._budgets_file else ()
        rules, alerts = load_detect_file(self._detect_file)
        slos = load_slos(self._slos_file) if self._slos_file else ()
        return InForce(replace(rules, time=self._time), budgets, alerts, slos)

    def _looked_at(self) -> tuple[tuple[int, int, int] | None, ...]:
        return tuple(
            _stamp(path) for path in (self._detect_file, self._budgets_file, self._slos_file)
        )


def _stamp(path: Path | None) -> tuple[int, int, int] | None:
    try:
        found = path.stat() if path else None
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino) if found else None
