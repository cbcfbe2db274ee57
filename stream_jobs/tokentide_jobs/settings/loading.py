"""Where the value of a setting comes from, and what is reported of a wrong one.

A frozen `Settings` is built by `Settings.from_env` and passed in; nothing else in this package
looks at the environment. A value comes from (first match) an override given in code or on the
command line, a `TOKENTIDE_*` variable, the `stack.json` of a running embedded stack, the default.
Printing settings never shows a password.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, Literal, get_args, get_origin

from annotated_types import Ge, Le
from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, EnvSettingsSource
from pydantic_settings.sources.utils import parse_env_vars

from tokentide.settings import Settings as ProducerSettings
from tokentide_jobs.errors import ConfigError
from tokentide_jobs.settings.declared import PREFIX, DeclaredSettings, option_of, variable_of
from tokentide_jobs.settings.origins import OPTION, STACK_FILE_VARIABLE
from tokentide_jobs.settings.password_file import with_password_of
from tokentide_jobs.settings.stack_file import STACK_FILE_NAME, running_stack
from tokentide_jobs.urls import redact_url

__all__ = ["OTHER_VARIABLES", "Setting", "Settings"]

_log = logging.getLogger(__name__)
_TEST_PREFIX: Final = "TOKENTIDE_TEST_"
_OF_A_STACK: Final = ("kafka_bootstrap", "clickhouse_url", "events_topic")
OTHER_VARIABLES: Final = ("TOKENTIDE_GRAFANA_PASSWORD", "TOKENTIDE_GRAFANA_TOKEN")
"""Secrets that `tokentide viewer` and `tokentide doctor` read themselves: none is ever printed."""
_logged: set[str] = set()


@dataclass(frozen=True, slots=True)
class Setting:
    """One effective setting, ready to print: `value` is redacted."""

    name: str
    variable: str
    value: str
    source: str
    unit: str
    allowed: str
    doc: str


class Settings(DeclaredSettings):
    """The effective settings of one process. Immutable; `items()` explains every one."""

    @classmethod
    def from_env(
        cls, environ: Mapping[str, str], data_dir: Path | str | None = None, **overrides: Any
    ) -> Settings:
        """Build the settings of this process.

        Args:
            environ: Usually `os.environ`.
            data_dir: The `--data-dir` option; None: `TOKENTIDE_DATA_DIR`, else `.tokentide`.
            **overrides: Values that beat the environment, by field name; None means not given.

        Raises:
            ConfigError: A value cannot be read or is out of range; the message names it.
        """
        given = {name: value for name, value in overrides.items() if value is not None}
        if data_dir is not None:
            given["data_dir"] = data_dir
        for name in given.keys() - cls.model_fields.keys():
            raise ConfigError(f"there is no setting {name!r}")
        from_environment = _Environment(cls, environ)()
        _warn_of_unknown_variables(environ, cls.model_fields)
        values = {**from_environment, **given}
        if "clickhouse_password_file" in values:
            values["clickhouse_url"] = with_password_of(
                str(values["clickhouse_password_file"]), str(values.get("clickhouse_url", ""))
            )
        directory = Path(values.get("data_dir", cls.model_fields["data_dir"].default)).expanduser()
        from_stack = running_stack(directory)
        sources = {
            **dict.fromkeys(from_stack, str(directory / STACK_FILE_NAME)),
            **{name: variable_of(name) for name in from_environment},
            **_given_by_a_stack(environ, from_environment),
            **dict.fromkeys(given, OPTION),
        }
        try:
            settings = cls(**{**from_stack, **values})
        except ValidationError as exc:
            refused = [_refusal(error, cls.model_fields, sources) for error in exc.errors()]
            raise ConfigError("\n".join(refused)) from None
        settings._sources.update(sources)
        return settings

    def items(self) -> Iterator[Setting]:
        """Yield every setting with its redacted value, its source and what it does."""
        for name, field in type(self).model_fields.items():
            yield Setting(
                name=name,
                variable=variable_of(name),
                value=_printable(getattr(self, name)),
                source=self._sources.get(name, "default"),
                unit=_unit(field),
                allowed=_allowed(field),
                doc=field.description or "",
            )

    def __repr__(self) -> str:
        body = ", ".join(f"{item.name}={item.value}" for item in self.items())
        return f"Settings({body})"

    __str__ = __repr__


class _Environment(EnvSettingsSource):
    """The variables of a given environment, not those of this process."""

    def __init__(self, settings_cls: type[BaseSettings], environ: Mapping[str, str]) -> None:
        self._environ = environ
        super().__init__(settings_cls)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return parse_env_vars(self._environ, self.case_sensitive, self.env_ignore_empty)


def _given_by_a_stack(environ: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    """Return the file of the stack for each address that its worker has in a variable."""
    file = environ.get(STACK_FILE_VARIABLE)
    return {name: file for name in names if file and name in _OF_A_STACK}


def _label(name: str, sources: Mapping[str, str]) -> str:
    """Name a setting as its author wrote it, so that a message leads back to the place."""
    return option_of(name) if sources.get(name) == OPTION else variable_of(name)


def _unit(field: FieldInfo) -> str:
    extra = field.json_schema_extra
    return str(extra["unit"]) if isinstance(extra, dict) else ""


def _allowed(field: FieldInfo) -> str:
    """Return the range of a number, `1 to 1000000`, or the words to choose from; else ""."""
    if get_origin(field.annotation) is Literal:
        return " or ".join(get_args(field.annotation))
    bounds = {type(bound): bound for bound in field.metadata}
    low, high = bounds.get(Ge), bounds.get(Le)
    if low is None or high is None:
        return ""
    return f"{low.ge:.16g} to {high.le:.16g}"


def _refusal(
    error: ErrorDetails, known: Mapping[str, FieldInfo], sources: Mapping[str, str]
) -> str:
    """Say in one line which setting has which value, and what is expected."""
    name = str(error["loc"][0])
    field, value = known[name], error["input"]
    shown = repr(redact_url(value)) if isinstance(value, str) else str(value)
    cause = error.get("ctx", {}).get("error")
    if error["type"] in ("greater_than_equal", "less_than_equal", "finite_number"):
        shown, expected = str(value), f"expected {_allowed(field)} {_unit(field)}".rstrip()
    elif error["type"] == "literal_error":
        expected = f"expected {_allowed(field)}"
    elif isinstance(cause, ValueError):
        expected = str(cause)
    elif field.annotation is int:
        expected = "expected a whole number"
    elif field.annotation is float:
        expected = "expected a number"
    else:
        expected = "expected text"
    return f"{_label(name, sources)} is {shown}: {expected}"


def _warn_of_unknown_variables(environ: Mapping[str, str], known: Iterable[str]) -> None:
    """Log each `TOKENTIDE_*` variable that is no setting, once in the life of the process."""
    own = [variable_of(name) for name in known]
    everything = {*own, *ProducerSettings.variables().values(), *OTHER_VARIABLES}
    for name in sorted(environ.keys() - everything - _logged):
        if name.startswith(PREFIX) and not name.startswith(_TEST_PREFIX):
            _logged.add(name)
            nearest = next(iter(get_close_matches(name, own, 1, 0.8)), "")
            meant = f"; {nearest} was meant?" if nearest else ""
            _log.warning("%s is no setting and does nothing%s", name, meant)


def _printable(value: object) -> str:
    if value is None:
        return ""
    return redact_url(value) if isinstance(value, str) else str(value)
