"""What a command talks to: the services named in the environment, or the running embedded stack.

`TOKENTIDE_KAFKA_BOOTSTRAP` and `TOKENTIDE_CLICKHOUSE_URL` take precedence over the stack.
When neither is there a command says so instead of waiting for a default address.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from tokentide_jobs.errors import ServiceUnreachable
from tokentide_jobs.settings import Settings
from tokentide_jobs.settings.declared import variable_of
from tokentide_jobs.settings.origins import forget_origins, note_origins

__all__ = ["data_dir_option", "find_target", "not_named", "read_settings"]

_FIELDS: Final = {"kafka": "kafka_bootstrap", "clickhouse": "clickhouse_url"}
_Command = TypeVar("_Command", bound=Callable[..., Any])


def data_dir_option(command: _Command) -> _Command:
    """Add `--data-dir`, which names the embedded stack a command looks for."""
    return click.option(
        "--data-dir",
        type=click.Path(file_okay=False, path_type=Path),
        default=None,
        metavar="DIR",
        help="Directory of the embedded stack.  [default: $TOKENTIDE_DATA_DIR or .tokentide]",
    )(command)


def find_target(data_dir: Path | None, *needs: str) -> Settings:
    """Return the settings of this process after checking that the services it needs are named.

    Args:
        data_dir: The `--data-dir` option, or None.
        needs: Any of `kafka` and `clickhouse`.

    Raises:
        ConfigError: A setting cannot be read.
        ServiceUnreachable: A needed service is named by nothing: no variable, no running stack.
    """
    settings = read_settings(data_dir)
    if why_not := not_named(settings, *needs):
        raise ServiceUnreachable(
            f"{why_not}: start one with `tokentide up`, name another directory with --data-dir, or "
            "name your own services"
        )
    return settings


def read_settings(data_dir: Path | None) -> Settings:
    """Return the settings of this process, and note where they came from until the command ends.

    Raises:
        ConfigError: A setting cannot be read.
    """
    settings = Settings.from_env(os.environ, data_dir)
    note_origins(settings)
    if (context := click.get_current_context(silent=True)) is not None:
        context.call_on_close(forget_origins)
    return settings


def not_named(settings: Settings, *needs: str) -> str:
    """Say which of the services that are needed nothing names; "": all are named.

    Args:
        settings: Of this process.
        needs: Any of `kafka` and `clickhouse`.
    """
    missing = [_FIELDS[need] for need in needs if _FIELDS[need] not in settings.sources]
    if not missing:
        return ""
    variables = " and ".join(variable_of(name) for name in missing)
    verb = "are" if len(missing) > 1 else "is"
    return f"no stack is running in {settings.data_dir} and {variables} {verb} not set"
