"""How a person can call this program again from where they are.

An environment that is not activated (`make demo` makes one) has no `tokentide` on the path: a hint
that a shell answers with "command not found" is worse than none.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

__all__ = ["program"]


def program() -> str:
    """Return `tokentide`, or the path of the running script where that name leads elsewhere."""
    running = Path(sys.argv[0])
    if running.name != "tokentide" or not running.is_file():  # `python -m`, or no script at all
        return "tokentide"
    found = shutil.which("tokentide")
    if found is not None and Path(found).samefile(running):
        return "tokentide"
    here = Path.cwd()
    whole = running.absolute()
    return str(whole.relative_to(here) if whole.is_relative_to(here) else whole)
