"""A request that waits as long as a busy machine may need: `urllib3.request` gives up after 3 s."""

from __future__ import annotations

from functools import partial

import urllib3

ANSWER_S = 120.0

request = partial(urllib3.request, timeout=ANSWER_S)
