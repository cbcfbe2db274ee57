"""One decorator for every kind of function: plain, coroutine, generator, asynchronous generator.

Invariant: what is returned is of the same kind as what was given, so that the host's frameworks,
which ask `inspect`, treat it as before.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar, cast

Function = TypeVar("Function", bound=Callable[..., Any])
Wrap = Callable[[Callable[..., Any]], Callable[..., Any]]


def wrapped(
    function: Function, *, plain: Wrap, coroutine: Wrap, generator: Wrap, async_generator: Wrap
) -> Function:
    """Return the function inside the wrapper of its kind, under its own name."""
    if inspect.iscoroutinefunction(function):
        wrap = coroutine
    elif inspect.isasyncgenfunction(function):
        wrap = async_generator
    elif inspect.isgeneratorfunction(function):
        wrap = generator
    else:
        wrap = plain
    return cast("Function", functools.wraps(function)(wrap(function)))
