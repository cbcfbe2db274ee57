"""Settings of a producer: keyword arguments first, then `TOKENTIDE_*`, then `OTEL_*` variables.

One frozen object, validated once. A bad value raises at construction, where a developer or a
deployment sees it at start; nothing raises afterwards.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import fields
from typing import Self

from tokentide.settings.declared import DeclaredSettings
from tokentide.settings.environment import from_opentelemetry
from tokentide.settings.keys import read_keys
from tokentide.settings.security import check_security
from tokentide.settings.values import SettingsError, checked


class Settings(DeclaredSettings):
    """Everything that can be set for a producer."""

    __slots__ = ()  # no dataclass of its own: generating one takes a third of the package's import

    @classmethod
    def load(
        cls, given: Mapping[str, object] | None = None, env: Mapping[str, str] | None = None
    ) -> Self:
        """Return validated settings.

        Args:
            given: Values by field name; None means "not given".
            env: Environment to read what was not given; the process's own when absent. An empty
                variable counts as not set.

        Raises:
            SettingsError: A value is unusable, a name is unknown, or values contradict each other.
        """
        given = given or {}
        env = os.environ if env is None else env
        known = {f.name: f.metadata for f in fields(cls)}
        for name in given:
            if name not in known:
                raise SettingsError(
                    f"{name}={given[name]!r}: no such setting; known: {', '.join(sorted(known))}"
                )
        values: dict[str, object] = {}
        fallbacks = from_opentelemetry(env)
        for name, meta in known.items():
            if given.get(name) is not None:
                values[name] = checked(name, given[name], meta)
            elif env.get(meta["env"]):
                values[name] = checked(meta["env"], env[meta["env"]], meta)
            elif name in fallbacks:
                values[name] = checked(*fallbacks[name], meta)
        settings = cls(**values)  # type: ignore[arg-type]
        _check_together(settings)
        return settings


def _check_together(settings: DeclaredSettings) -> None:
    """Raise where values that are sound each for itself make no sense together."""
    if settings.user_hash_key:
        read_keys(settings.user_hash_key)
    if settings.kafka_security != "plaintext" or settings.kafka_sasl != "none":
        check_security(settings)
