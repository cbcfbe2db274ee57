"""What an answer of Gemini is grounded on: searches, places and pages, and the tokens they brought.

Google bills each search or prompt, and the tokens of pages that a call names or of code that it
runs as input. What Google Search retrieved "is not charged as input tokens" (ai.google.dev,
pricing), and one count covers all tools: where several ran, the billed part is unknown.
"""

from __future__ import annotations

from typing import cast

from tokentide._contract import MAX_SMALL_COUNT
from tokentide.usage.reading import Fields, Get, getter, items, read

FREE_TOKENS = "search_result_tokens"
"""Unit of tokens that Google Search retrieved: reported, and not billed."""
UNSETTLED_TOKENS = "tool_result_tokens"
"""Unit of tokens whose billed part is unknown: it has no price, so the cost is partial."""

_BILLED_BY_PROMPT = ("gemini-1", "gemini-2")
"""Models whose search grounding is billed once per prompt, however many queries it took."""
_CODE_TOOLS = ("codeExecution", "code_execution")
"""Names of the tool that runs code, in JSON and in the SDK."""
_CODE = (("executableCode", "executable_code"), ("codeExecutionResult", "code_execution_result"))


def either(get: Get, camel: str, snake: str) -> object:
    """Return a value by its JSON name or by the name of the SDK's objects."""
    found = get(camel)
    return found if found is not None else get(snake)


def billed_searches(searches: int | None, model: str) -> int | None:
    """Return how many searches are billed: all, or one on models that charge by the prompt."""
    by_prompt = model.rpartition("/")[2].startswith(_BILLED_BY_PROMPT)
    return searches and min(searches, 1 if by_prompt else MAX_SMALL_COUNT)


def may_run_code(tools: object) -> bool:
    """Return whether a call let Gemini run code, by the tools that it was given."""
    return any(read(tool, name) is not None for tool in items(tools, 64) for name in _CODE_TOOLS)


def place_tool_tokens(counts: Fields, tokens: int, *, has_searched: bool, has_others: bool) -> None:
    """Take the tokens of tools out of the input where they are not known to be billed as such.

    Args:
        counts: The event's counts; the input includes the tokens of tools.
        tokens: How many tools brought.
        has_searched: Google Search was asked.
        has_others: Another tool ran as well, or Google Maps was asked.
    """
    inputs = cast("int | None", counts.get("input_tokens"))
    if not tokens or inputs is None or tokens > inputs or not (has_searched or has_others):
        return
    counts["input_tokens"] = inputs - tokens
    units = cast("Fields", counts.get("other_units") or {})
    unit = UNSETTLED_TOKENS if has_others else FREE_TOKENS
    counts["other_units"] = {**units, unit: tokens}


class Grounding:
    """What an answer is grounded on; each distinct search is billed once."""

    __slots__ = ("_has_billed_tools", "_has_maps", "_maps", "_web")

    def __init__(self) -> None:
        self._has_maps = self._has_billed_tools = False
        self._maps: set[int] = set()  # hashes: what was searched for is not kept
        self._web: set[int] = set()

    @property
    def has_searched(self) -> bool:
        """Whether Google Search or Google Maps was asked: a page alone is cited without queries."""
        return bool(self._web) or self._has_maps

    def add(self, candidate: Get) -> None:
        """Note the searches and pages of one candidate, of a whole answer or a chunk of it."""
        pages = either(candidate, "urlContextMetadata", "url_context_metadata")
        if pages is not None:
            named = either(getter(pages), "urlMetadata", "url_metadata")
            self._has_billed_tools |= bool(items(named, 1))
        content = candidate("content")
        if content is not None:
            parts = map(getter, items(getter(content)("parts")))
            self._has_billed_tools |= any(
                either(part, *names) is not None for part in parts for names in _CODE
            )
        metadata = either(candidate, "groundingMetadata", "grounding_metadata")
        if metadata is not None:
            self._add_searches(getter(metadata))

    def _add_searches(self, get: Get) -> None:
        queries = items(either(get, "webSearchQueries", "web_search_queries"))
        sources = [getter(s) for s in items(either(get, "groundingChunks", "grounding_chunks"))]
        is_maps = (
            any(source("maps") is not None for source in sources)
            or either(get, "googleMapsWidgetContextToken", "google_maps_widget_context_token")
            is not None
        )
        self._has_maps |= is_maps
        # Both tools list their queries in one place; what the answer cites shows which one ran.
        is_web = not is_maps or any(source("web") is not None for source in sources)
        found = self._web if is_web else self._maps
        found.update(hash(query) for query in queries if type(query) is str and query)

    def add_code(self) -> None:
        """Note that Gemini ran code, or was allowed to: its tokens are not counted apart."""
        self._has_billed_tools = True

    def place(self, counts: Fields, tool_tokens: int) -> None:
        """Take the tokens of tools out of the input where they are not known to be billed."""
        if self.has_searched:
            others = self._has_billed_tools or self._has_maps
            place_tool_tokens(counts, tool_tokens, has_searched=True, has_others=others)

    def add_to(self, fields: Fields, model: str) -> None:
        """Add what is billed: each query, or the prompt on models that charge by that."""
        if self._web:
            fields["web_searches"] = billed_searches(len(self._web), model)
        if self._has_maps:
            # A prompt grounded on places is billed also where no query is listed.
            units = cast("Fields", fields.get("other_units") or {})
            billed = billed_searches(len(self._maps) or 1, model)
            fields["other_units"] = {**units, "map_groundings": billed}
