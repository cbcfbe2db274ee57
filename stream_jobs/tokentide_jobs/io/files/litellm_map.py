"""LiteLLM's price map, from its installed package or from a file; the package is never imported.

Only `tokentide prices diff --against` reads it. Numbers stay decimals: no price passes through a
float.
"""

from __future__ import annotations

import json
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tokentide_jobs.errors import ConfigError

__all__ = ["read_price_map"]

_FILE = "model_prices_and_context_window_backup.json"
_MAX_BYTES = 64 << 20


def read_price_map(source: str) -> dict[str, Any]:
    """Return the map.

    Args:
        source: `litellm` for the one of the installed package, else the path of a file.

    Raises:
        ConfigError: There is none, or it is no such map.
    """
    path = _installed() if source == "litellm" else Path(source)
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ConfigError(f"--against {path}: larger than {_MAX_BYTES:,} bytes")
        found = json.loads(path.read_bytes(), parse_float=Decimal)
    except OSError as error:
        raise ConfigError(f"--against {path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"--against {path}: not valid JSON: {error}") from error
    if not isinstance(found, dict):
        raise ConfigError(f"--against {path}: expected an object of models, as LiteLLM's map is")
    return found


def _installed() -> Path:
    spec = find_spec("litellm")
    for place in spec.submodule_search_locations or () if spec else ():
        return Path(place) / _FILE
    raise ConfigError(
        "--against litellm: the package litellm is not installed here; name a file instead, a copy"
        f" of its {_FILE}"
    )
