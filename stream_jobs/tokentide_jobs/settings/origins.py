"""Where the values of this process's settings came from, for messages that say what to correct.

The program notes it once its settings are read, and forgets it when a command ends. Where nothing
is noted, in a library's caller, a setting is called by its variable.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tokentide_jobs.settings.declared import DeclaredSettings, option_of, variable_of
from tokentide_jobs.settings.stack_file import STACK_FILE_NAME, password_file_of

__all__ = ["OPTION", "STACK_FILE_VARIABLE", "account_remedy", "forget_origins", "note_origins",
           "origin_of"]  # fmt: skip

OPTION: Final = "option"
"""The source of a value from the command line."""
STACK_FILE_VARIABLE: Final = "_TOKENTIDE_STACK_FILE"
"""Set by a stack for its workers: their addresses are in variables, and come from this file."""
_noted: dict[str, str] = {}
_password_files: list[Path] = []


def note_origins(settings: DeclaredSettings) -> None:
    """Note where the values of these settings came from."""
    forget_origins()
    defaults = {name: f"the default of {variable_of(name)}" for name in type(settings).model_fields}
    _noted.update(defaults | _named(settings.sources))
    if settings.clickhouse_password_file is not None:
        _password_files.append(settings.clickhouse_password_file)


def forget_origins() -> None:
    """Forget what was noted."""
    _noted.clear()
    _password_files.clear()


def origin_of(name: str) -> str:
    """Return what a person has to look at to correct a setting.

    Args:
        name: Of the setting: `kafka_bootstrap`.

    Returns:
        A variable, an option, the `stack.json` of a running stack, or the default of a variable.
    """
    return _noted.get(name, variable_of(name))


def account_remedy() -> str:
    """Return where ClickHouse's account and its password are, which it refuses."""
    url = origin_of("clickhouse_url")
    if _password_files:
        return (
            f"correct the password in {_password_files[0]} "
            f"({origin_of('clickhouse_password_file')}), or the user in {url}"
        )
    if Path(url).name == STACK_FILE_NAME:
        password = password_file_of(Path(url).parent)
        return f"{url} and {password} differ from what ClickHouse knows: start the stack again"
    return f"correct user and password in {url}"


def _named(sources: Mapping[str, str]) -> dict[str, str]:
    return {
        name: option_of(name) if source == OPTION else source for name, source in sources.items()
    }
