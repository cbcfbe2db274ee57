"""The type of what boards become: values that JSON can hold."""

from __future__ import annotations

from typing import Any

__all__ = ["Object"]

Object = dict[str, Any]
"""A JSON object: what is in it is held against Grafana's own keys by the check of boards."""
