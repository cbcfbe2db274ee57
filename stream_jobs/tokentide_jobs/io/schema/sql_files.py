"""Where the SQL lives: inside the installed package, or beside the sources in a checkout.

One place decides, so that migrations, views, cookbook and tests read the same files.
"""

from __future__ import annotations

from pathlib import Path

from tokentide_jobs.errors import ConfigError

__all__ = ["sql_root"]


def sql_root() -> Path:
    """Return the folder that holds `migrations/`.

    Raises:
        ConfigError: The installation lacks it.
    """
    package = Path(__file__).resolve().parents[2]
    for candidate in (package / "sql", package.parents[1] / "sql"):
        if (candidate / "migrations").is_dir():
            return candidate
    raise ConfigError(f"no SQL migrations below {package}: reinstall tokentide[pipeline]")
