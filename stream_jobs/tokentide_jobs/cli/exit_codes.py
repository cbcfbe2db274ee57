"""The exit codes of the program: one meaning each, in every command.

Nothing is imported here: the bare SDK uses them, too. `EXIT_CODES` is the table of docs/cli.md.
"""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = [
    "EXIT_CHECK_FAILED",
    "EXIT_CODES",
    "EXIT_INTERNAL",
    "EXIT_INTERRUPTED",
    "EXIT_NOTHING_PROVEN",
    "EXIT_OK",
    "EXIT_READER_GONE",
    "EXIT_SOFT_BUDGET",
    "EXIT_UNREACHABLE",
    "EXIT_USAGE",
]

EXIT_OK: Final = 0
EXIT_CHECK_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_UNREACHABLE: Final = 3
EXIT_INTERNAL: Final = 4
EXIT_NOTHING_PROVEN: Final = 5
EXIT_SOFT_BUDGET: Final = 6
EXIT_INTERRUPTED: Final = 130
"""128 + SIGINT, as shells have it."""
EXIT_READER_GONE: Final = 141
"""128 + SIGPIPE: what other programs have in front of `head`."""


class ExitCode(NamedTuple):
    """One exit code, for people."""

    code: int
    meaning: str
    examples: str


EXIT_CODES: Final = (
    ExitCode(EXIT_OK, "done; what was checked is right", ""),
    ExitCode(
        EXIT_CHECK_FAILED,
        "the command did its work and found something wrong",
        "`verify` found a fault; `repair --dry-run` a difference; `repair` rows that are missing "
        "or stand twice; `migrate` a table that is not as it was made; `explain` another cost; "
        "`status` is bad; an event of `replay` or `check-producer` did not arrive; "
        "`alerts test` was not taken; `doctor` found a problem; `grafana push` could not save a "
        "board; `slos check` found one that burns or was missed; a hard "
        "budget is over",
    ),
    ExitCode(
        EXIT_USAGE,
        "usage or configuration; nothing was begun",
        "an unknown option; a setting out of range; a trace with an unreadable line; an event, "
        "dead letter or alert that does not exist; a missing extra; `verify` or `repair` where a "
        "table is missing (`tokentide migrate`); SQL that ClickHouse refuses",
    ),
    ExitCode(
        EXIT_UNREACHABLE,
        "a service is unreachable or cannot now (try again), or the stack cannot start",
        "no stack runs; ClickHouse does not answer, or lacks memory (241); a port is taken",
    ),
    ExitCode(
        EXIT_INTERNAL, "internal error, or a promise of the pipeline is broken", "please report it"
    ),
    ExitCode(
        EXIT_NOTHING_PROVEN,
        "there was nothing to check: neither a fault nor a proof",
        "`verify` of a range without an event; `budgets check` without a budget; `doctor` found no "
        "problem, and could not look at everything",
    ),
    ExitCode(EXIT_SOFT_BUDGET, "a soft budget is over, and no hard one", "`budgets check`"),
    ExitCode(EXIT_INTERRUPTED, "interrupted by Ctrl-C or SIGTERM", ""),
    ExitCode(
        EXIT_READER_GONE,
        "the reader of the output left before its end, and the command ended there",
        "`tokentide sql … | head -1`, where the shell has `pipefail` set",
    ),
)
"""Every code, in order."""
