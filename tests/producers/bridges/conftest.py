"""The bridge from LiteLLM, whether LiteLLM is installed or not."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture
def bridge(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Yield the module; where LiteLLM is absent, over the base class of its callbacks alone."""
    if find_spec("litellm") is None:
        base = ModuleType("litellm.integrations.custom_logger")
        base.CustomLogger = type("CustomLogger", (), {})  # type: ignore[attr-defined]
        for name in ("litellm", "litellm.integrations"):
            monkeypatch.setitem(sys.modules, name, ModuleType(name))
        monkeypatch.setitem(sys.modules, base.__name__, base)
    from tokentide.bridges import litellm

    yield litellm
    sys.modules.pop("tokentide.bridges.litellm", None)
