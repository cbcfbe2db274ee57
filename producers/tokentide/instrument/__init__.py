"""Automatic recording of provider clients: one module a client, and the machinery they share.

`tokentide.instrument` names both this package and the function that switches it on.
"""

from tokentide.instrument import callable_package

__all__ = ["callable_package"]
