"""Whether a span shows that a tool may have run which the provider runs itself, and bills.

Searches and the like cost a fee beside the tokens, and hardly any instrumentation counts them. What
a call was offered, which calls the answer holds and why it stopped show that there may be one; then
the counts of the span are not the whole of its cost. Names and kinds are looked at, nothing else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Final, cast

from tokentide.semconv.span import Attributes, SpanData
from tokentide.usage.reading import getter, items, label, read, small_count

_OFFERED: Final = ("gen_ai.tool.definitions", "gen_ai.request.available_tools", "ai.prompt.tools")
"""Tools of a request: OpenTelemetry's and OpenLLMetry's, Sentry's, the Vercel AI SDK's."""
_USED: Final = "openai.response.built_in_tools"
"""OpenLIT: the tools of OpenAI's that ran, in one text (`web_search, file_search`)."""
_OFFERED_ONE: Final = re.compile(r"llm\.tools\.\d+\.tool\.json_schema")
_CALLED: Final = re.compile(
    r"llm\.output_messages\.\d+\.message\."
    r"(tool_calls\.\d+\.tool_call\.function\.name|contents\.\d+\.message_content\.type)"
)
"""OpenInference: one attribute a tool that was offered, and a call or part of the answer."""
_PARAMETERS: Final = "llm.invocation_parameters"
_OF_PARAMETERS: Final = ("web_search_options", "plugins", "search_parameters", "enable_search")
"""Parameters that let a model search: OpenAI's, OpenRouter's, xAI's, Qwen's."""

_BILLED: Final = (
    "websearch", "googlesearch", "enterprisewebsearch", "googlemaps", "filesearch", "xsearch",
    "livesearch", "collectionssearch", "attachmentsearch", "documentsearch", "documentlibrary",
    "browsersearch", "codeinterpreter", "imagegeneration", "novagrounding", "advisor",
)  # fmt: skip
"""How the kinds of tools begin that cost a fee, or tokens of another model, in small letters."""
_READS: Final = ("urlcontext", "codeexecution")
"""Tools of Gemini's whose tokens only some instrumentations count."""
_SEARCHES: Final = ("websearch", "googlesearch")
_FUNCTIONS: Final = frozenset({"function", "custom"})
_OF_A_FUNCTION: Final = (
    "input_schema", "inputSchema", "parameters", "function", "parametersJsonSchema",
    "parameters_json_schema", "description",
)  # fmt: skip
_NO_TOOLS: Final = frozenset({"functiondeclarations", "cachecontrol", "type", "name"})
_RAN: Final = re.compile(r"(\w+_search|code_interpreter|image_generation)_(call|tool_result)")
"""Calls and parts that only an answer of the provider's own tools has."""
_IN_TEXT: Final = re.compile(r'"[\w.:$-]*(web_?search|google_?(search|maps)|file_?search)', re.I)
_MAX_TEXT: Final = 65_536
"""Longest JSON of tools that is parsed; a longer one is looked through for names of searches."""
_MAX_TOOLS: Final = 256


def searches_reported(span: SpanData) -> int | None:
    """Return how many searches OpenInference's metadata of an Anthropic call names, else None."""
    text = span.attributes.get("metadata")
    if span.scope != "openinference.instrumentation.anthropic" or type(text) is not str:
        return None
    found = _parsed(text)
    return small_count(read(found, "server_tool_use", "web_search_requests"))


def may_have_run(span: SpanData, reasons: Sequence[object], *, is_counted: bool) -> bool:
    """Return whether a span shows that a billed tool may have run that it does not count.

    Args:
        span: The span.
        reasons: Why the model stopped.
        is_counted: Whether the span says how many searches there were.
    """
    attributes = span.attributes
    if not is_counted and any(reason == "pause_turn" for reason in reasons):
        return True  # Anthropic's tools of the server are at work
    is_offered = False
    has_total = any("total" in name for name in attributes if "token" in name)
    for kind in _kinds(attributes):
        is_offered = True
        word = kind.lower().replace("_", "").replace("-", "")
        if is_counted and word.startswith(_SEARCHES):
            continue
        if word.startswith(_BILLED) or (word.startswith(_READS) and not has_total):
            return True
    # OpenLLMetry shows no tools of the provider's, and stops for a tool that it does not name.
    is_unnamed = not is_offered and span.name == "openai.response"
    return is_unnamed and any(reason in ("tool_call", "tool_calls") for reason in reasons)


def _kinds(attributes: Attributes) -> Iterator[str]:
    """Yield the kinds of the tools that a span names, "function" for the caller's own."""
    for name, value in attributes.items():
        if name in _OFFERED or _OFFERED_ONE.fullmatch(name):
            yield from _offered(value)
        elif name == _USED and type(value) is str:
            yield from value.split(", ", _MAX_TOOLS)
        elif type(value) is str and name.startswith("llm.output_messages."):
            if _CALLED.fullmatch(name) and _RAN.fullmatch(value):
                yield value
        elif name == _PARAMETERS and type(value) is str:
            found = getter(_parsed(value))
            yield from _offered(found("tools"))
            yield from ("web_search" for name in _OF_PARAMETERS if found(name))


def _offered(value: object) -> Iterator[str]:
    """Yield the kinds of tools in a list, or in the JSON of one tool or of a list."""
    if type(value) is str:
        parsed = _parsed(value)
        if parsed is None and value:
            # Cut short, or too long: its searches can still be seen.
            yield "web_search" if _IN_TEXT.search(value) else "function"
            return
        value = parsed
    if isinstance(value, (list, tuple)):
        for tool in items(value, _MAX_TOOLS):
            yield from _offered(tool) if type(tool) is str else _kinds_of(tool)
        if len(value) > _MAX_TOOLS:
            yield "web_search"  # the rest is not read: there may be one
    else:
        yield from _kinds_of(value)


def _kinds_of(tool: object) -> Iterator[str]:
    """Yield what one tool is: its kind, Anthropic's name, or each of Gemini's in one object."""
    if type(tool) is not dict:
        return
    kind, name = label(tool.get("type")), label(tool.get("name"))
    if kind in _FUNCTIONS:
        # OpenLIT calls Anthropic's tools functions too, then without anything of a function.
        is_bare = tool.get("description") == "" and tool.get("parameters") == {}
        yield name if is_bare and name is not None else "function"
    elif kind == "builtin_function":  # Moonshot's
        yield (label(read(tool, "function", "name")) or "").lstrip("$")
    elif kind is not None:
        # The Vercel AI SDK's `openai.web_search`, OpenRouter's `openrouter:web_search`.
        whole = label(tool.get("id")) if kind.startswith("provider") else kind
        yield re.split(r"[.:]", whole or name or "")[-1]
    elif name is not None:
        yield "function" if any(key in tool for key in _OF_A_FUNCTION) else name
    else:
        for key in cast("dict[object, object]", tool):
            word = str(key).lower().replace("_", "")
            yield "function" if word in _NO_TOOLS else word


def _parsed(text: str) -> object:
    """Return what a JSON text holds, None where it is none or too long."""
    if len(text) > _MAX_TEXT:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
