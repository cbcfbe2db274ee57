"""Writes results as Markdown: one table a measurement, nested figures flattened with dots."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

LEFT_OUT = ("rounds",)
"""Single rounds are in the JSON file; the medians say enough here."""


def markdown(results: Mapping[str, Mapping[str, Any]]) -> str:
    """Return all results as one page."""
    parts = ["# Measured figures\n\nWritten by `make bench`.\n"]
    for name, result in results.items():
        parts.append(
            f"## {name}\n\n{result['day']}, {result['machine']},"
            f" load before {result['load_before']}.\n\n| figure | value |\n|---|---|"
        )
        parts.extend(f"| {key} | {value} |" for key, value in _flat(result["figures"], ""))
        parts.append("")
    return "\n".join(parts)


def _flat(figures: Any, prefix: str) -> Iterator[tuple[str, str]]:
    if isinstance(figures, Mapping):
        for key, value in figures.items():
            if key not in LEFT_OUT:
                yield from _flat(value, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(figures, float):
        yield prefix, f"{figures:,.3f}".rstrip("0").rstrip(".")
    elif isinstance(figures, int):
        yield prefix, f"{figures:,}"
    else:
        yield prefix, str(figures)
