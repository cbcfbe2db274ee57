"""How much sensitive text of which class a text holds; the text itself is never kept.

The patterns (`tokentide.privacy.patterns`) are loaded when the first text is looked at.
"""

from __future__ import annotations

MAX_CHARS = 65_536
"""Of a longer text only so much of its beginning is looked at."""

CLASSES = ("email", "phone", "card", "iban", "secret")


def detect(text: str, classes: tuple[str, ...] = CLASSES) -> dict[str, int]:
    """Return how many e-mail addresses, phone numbers, cards, IBANs and keys a text holds.

    Args:
        text: Anything; of more than `MAX_CHARS` characters the rest is not looked at.
        classes: The classes to look for; those that were not found are absent from the result.
    """
    from tokentide.privacy.patterns import FINDERS  # only here: many patterns are compiled

    text = text[:MAX_CHARS]
    found: dict[str, int] = {}
    for name in classes:
        number = sum(1 for _ in FINDERS[name](text))
        if number:
            found[name] = number
    return found
