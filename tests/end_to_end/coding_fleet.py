"""A fleet of developers with three coding agents, and what it spends, worked out a second time."""

from __future__ import annotations

from collections import defaultdict

from tests.coding_agents import (
    CLAUDE_CODE,
    CODEX,
    GEMINI_CLI,
    claude_code_call,
    codex_call,
    encoded,
    gemini_cli_call,
    logs_request,
)

DEVELOPERS = 6
CALLS_A_DEVELOPER = 40
PICO_USD_A_TOKEN = {  # input, cache read, cache write, output: the providers' pages, 2026-11
    "claude-sonnet-4-5-20250929": (3_000_000, 300_000, 3_750_000, 15_000_000),
    "claude-haiku-4-5-20251001": (1_000_000, 100_000, 1_250_000, 5_000_000),
    "gpt-5-codex": (1_250_000, 125_000, 0, 10_000_000),
    "gemini-2.5-pro": (1_250_000, 125_000, 0, 10_000_000),
}
CLAUDE_MODELS = ("claude-sonnet-4-5-20250929", "claude-haiku-4-5-20251001")

Key = tuple[str, str, str]
"""E-mail address of the developer, tool, model."""
Sums = tuple[int, int, int]
"""Calls, money by the cards and money as the agent says, in pico-USD."""


def fleet(now_ns: int) -> tuple[list[bytes], dict[Key, Sums]]:
    """Return records of OTLP, one a developer, and their sums, made from the numbers alone.

    A call in four is Codex's, one is Gemini CLI's, two are Claude Code's. Each record holds one
    call a second time and a log record that is no call.
    """
    sums: dict[Key, Sums] = defaultdict(lambda: (0, 0, 0))
    values = []
    for developer in range(DEVELOPERS):
        mail = f"dev{developer}@example.org"
        calls = [
            _call(mail, developer, n, now_ns - (n + 1) * 10**9) for n in range(CALLS_A_DEVELOPER)
        ]
        for (tool, model, cost, reported_pico_usd), _record in calls:
            count, computed, reported = sums[mail, tool, model]
            sums[mail, tool, model] = (count + 1, computed + cost, reported + reported_pico_usd)
        of_claude, of_codex, of_gemini = (
            [record for known, record in calls if known[0] == tool]
            for tool in ("claude-code", "codex", "gemini-cli")
        )
        no_call = claude_code_call(now_ns, **{"event.name": "tool_result"}) | {"body": {}}
        resource = {"tokentide.team": f"team-{developer % 2}"}
        values.append(
            encoded(
                logs_request(CLAUDE_CODE, [*of_claude, no_call, of_claude[0]], **resource),
                logs_request(CODEX, of_codex, **resource),
                logs_request(GEMINI_CLI, of_gemini, **resource),
            )
        )
    return values, dict(sums)


def _call(
    mail: str, developer: int, n: int, at_ns: int
) -> tuple[tuple[str, str, int, int], dict[str, object]]:
    """Return (tool, model, cost, what the agent says it cost) and the record of one call."""
    fresh, read, written, output, reported_pico_usd = 3 + developer, 1000 * n, 0, 100 + n, 0
    record: dict[str, object]
    if n % 4 == 0:
        tool, model = "codex", "gpt-5-codex"
        record = codex_call(
            at_ns,
            **{
                "user.email": mail,
                "input_token_count": str(read + fresh),
                "output_token_count": str(output),
                "cached_token_count": read,
                "reasoning_token_count": n,
            },
        )
    elif n % 4 == 1:
        tool, model = "gemini-cli", "gemini-2.5-pro"
        record = gemini_cli_call(
            at_ns,
            **{
                "user.email": mail,
                "input_token_count": read + fresh,
                "tool_token_count": 0,
                "cached_content_token_count": read,
                "output_token_count": 100,
                "thoughts_token_count": n,
                "total_token_count": read + fresh + output,
            },
        )
    else:
        tool, model = "claude-code", CLAUDE_MODELS[n % 2]
        written, reported_pico_usd = 10 * (n % 7), 7_000_000 * (n + 1)
        record = claude_code_call(
            at_ns,
            **{
                "event.sequence": n,
                "user.email": mail,
                "model": model,
                "input_tokens": fresh,
                "cache_read_tokens": read,
                "cache_creation_tokens": written,
                "output_tokens": output,
                "cost_usd": reported_pico_usd / 1e12,
                **({"agent.name": "Explore"} if n % 5 == 0 else {}),
            },
        )
    amounts = (fresh, read, written, output)
    cost = sum(a * r for a, r in zip(amounts, PICO_USD_A_TOKEN[model], strict=True))
    return (tool, model, cost, reported_pico_usd), record
