"""Names that depend on what they name alone, on every machine and for ever."""

from __future__ import annotations

import hashlib
import json
from typing import Any

__all__ = ["digest"]


def digest(*parts: Any) -> str:
    """Return a short name that depends on the parts alone, on every machine and for ever."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]
