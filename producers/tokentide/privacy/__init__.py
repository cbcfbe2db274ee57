"""What keeps people out of the telemetry: hashed user ids, the redact hook, detectors.

Nothing here is imported by `import tokentide`; each part is loaded when a setting asks for it.
"""

from __future__ import annotations

from tokentide.privacy.users import hash_user, hash_user_under_every_key

__all__ = ["detect", "hash_user", "hash_user_under_every_key"]


def detect(text: str) -> dict[str, int]:
    """Returns how many e-mail addresses, phone numbers, cards, IBANs and keys a text holds.

    Classes that were not found are absent; see `tokentide.privacy.sensitive`.
    """
    from tokentide.privacy import sensitive  # only here: five patterns are compiled

    return sensitive.detect(text)
