"""One step of a run, and the fingerprint by which two steps are the same.

A step is additive: the guard may be given calls one by one or several joined into one. Text of
prompts is not known to the pipeline, so a step is recognised by who asked, with which prompt, after
which tool, and by the exact size of its input: the context of an agent that gets on changes size.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import NamedTuple

__all__ = ["RunKey", "Step", "fingerprint"]


class RunKey(NamedTuple):
    """A run of a tenant: the run that was named, else the conversation, else the trace."""

    tenant: str
    run: str


class Step(NamedTuple):
    """What one or more calls add to a run.

    Attributes:
        key: The run.
        at_us: Event time.
        agent: Who called; empty if unnamed.
        user: Hashed user, or empty.
        cost_pico_usd: Exact spend; 0 when unpriced.
        tokens: Input and output together.
        calls: Calls in this step.
        errors: Failed calls among them.
        tool: Tool that led here, or empty.
        fingerprint: What it equals; 0: not known.
        input_tokens: Size of its input; None where it is meaningless.
        service: Who reported the call.
        environment: Of the service, or empty.
        model: Who answered, or was asked to; or empty.
        prompt_name: Of the prompt, or empty.
        prompt_version: Likewise.
    """

    key: RunKey
    at_us: int
    agent: str
    user: str
    cost_pico_usd: int
    tokens: int = 0
    calls: int = 1
    errors: int = 0
    tool: str = ""
    fingerprint: int = 0
    service: str = ""
    environment: str = ""
    model: str = ""
    prompt_name: str = ""
    prompt_version: str = ""
    input_tokens: int | None = None


def fingerprint(agent: str, prompt: str, tool: str, input_tokens: int | None) -> int:
    """Return a number that equal steps share: 63 bits, the same in every process.

    Args:
        agent: Who called.
        prompt: Prompt name with version, or any hash of a prompt that the caller has.
        tool: Tool that led to the call.
        input_tokens: As reported; without them no two steps are known to be the same.

    Returns:
        At least 1; 0 where the size of the input is not known.
    """
    if input_tokens is None:
        return 0
    text = "\0".join((agent, prompt, tool, str(input_tokens)))
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 1) or 1
