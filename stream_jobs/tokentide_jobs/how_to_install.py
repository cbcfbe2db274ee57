"""The line that installs what is missing, as long as no release is on PyPI: from a checkout.

It names the Python that runs: the environment of `make up` is not activated, so that `pip` alone
may be another's, or none.
"""

from __future__ import annotations

import sys
from pathlib import Path

__all__ = ["install_line"]


def install_line(*extras: str) -> str:
    """Return what brings these extras.

    Args:
        extras: Of pyproject.toml, such as `pipeline`.
    """
    names = ",".join(extras)
    python, here = Path(sys.executable), Path.cwd()
    shown = python.relative_to(here) if python.is_relative_to(here) else python
    return (
        f"`{shown} -m pip install -e '.[{names}]'` in the checkout (once a release is on PyPI: "
        f"'tokentide[{names}]')"
    )
