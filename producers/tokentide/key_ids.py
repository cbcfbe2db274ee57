"""Which texts may stand for an API key in an event: ids of keys, never keys.

The pipeline refuses an event whose `key_id` looks like a key, and keeps its bytes with the dead
letters. Invariant: what looks like a key does not leave the process.
"""

from __future__ import annotations

import re

from tokentide._contract import KEY_PATTERN


def looks_like_a_key(text: str) -> bool:
    """Return whether a text is a credential rather than the id of one."""
    return re.search(KEY_PATTERN, text) is not None
