"""The texts of a prompt and a response, by role, whatever the provider's shape.

One walk for all providers, because they differ in little more than the names around the text.
Invariant: nothing here raises, follows more than `MAX_NODES` objects, or takes more text than asked
for; images, sounds, tool arguments and hidden reasoning are not texts and are not looked at.
"""

from __future__ import annotations

from typing import cast

from tokentide.usage.bedrock_invoke import MAX_BODY_BYTES, parse_json
from tokentide.usage.reading import getter, items

Texts = list[tuple[str, str]]
"""(role, text) in order."""

MAX_NODES = 2_000
OPAQUE_COST = 10
"""Nodes that an object counts for whose attributes are computed: a mock makes new ones for ever."""
MAX_DEPTH = 8
MAX_ROLE = 32

_INPUT_NAMES = (
    ("system", "system"),
    ("instructions", "system"),
    ("system_instruction", "system"),
    ("config", "system"),
    ("messages", "user"),
    ("input", "user"),
    ("inputs", "user"),
    ("inputText", "user"),
    ("texts", "user"),
    ("contents", "user"),
    ("prompt", "user"),
    ("message", "user"),
)
"""Arguments of the clients' calls that hold text, and whose text it is unless it says so itself."""

_INNER_NAMES = (
    "system_instruction", "text", "refusal", "content", "parts", "message", "choices",
    "candidates", "output", "outputs", "outputText", "generation",
)  # fmt: skip
"""Where texts are inside a message or response. A response that repeats its text under two of
these (`output_text`) has only one of them here."""

_OF_STREAMS = ("generation", "outputText")
"""Where models behind InvokeModel have the text of a chunk, besides those of the known formats."""

_NOT_TEXTS = frozenset(("reasoning", "thinking", "redacted_thinking", "function_call"))


class _Walk:
    """Collects texts until there is no room for more."""

    def __init__(self, max_chars: int) -> None:
        self.texts: Texts = []
        self.is_cut = False
        self._room = max_chars
        self._nodes = MAX_NODES

    def visit(self, node: object, role: str, depth: int = 0) -> None:
        kind = type(node)
        if kind is str or issubclass(kind, str):
            self._take(str.__str__(cast("str", node)), role)
            return
        if node is None or kind in (int, float, bool, bytes, bytearray):
            return
        self._nodes -= 1 if _is_plain(kind) else OPAQUE_COST
        if self._nodes < 0 or depth > MAX_DEPTH:
            self.is_cut = True
            return
        elements = items(node, MAX_NODES)
        for element in elements:
            if self._nodes < 0 or self._room <= 0:
                self.is_cut = True
                return
            self.visit(element, role, depth + 1)
        if not elements and not issubclass(kind, (list, tuple)):
            self._visit_object(node, role, depth)

    def _visit_object(self, node: object, role: str, depth: int) -> None:
        get = getter(node)
        own = get("type")
        if type(own) is str and own in _NOT_TEXTS:
            return
        own = get("role")
        if isinstance(own, str) and own:
            role = str.__str__(own)[:MAX_ROLE]
        for name in _INNER_NAMES:
            inner = get(name)
            if inner is not None:
                self.visit(inner, role, depth + 1)

    def _take(self, text: str, role: str) -> None:
        if not text:
            return
        if self._room <= 0:
            self.is_cut = True
            return
        if len(text) > self._room:
            self.is_cut = True
            text = text[: self._room]
        self._room -= len(text)
        self.texts.append((role, text))


def _is_plain(kind: type) -> bool:
    return issubclass(kind, (dict, list, tuple)) or hasattr(kind, "__pydantic_fields__")


def input_texts(given: object, max_chars: int) -> tuple[Texts, bool]:
    """Return the texts of a call's arguments, and whether some were left out.

    Args:
        given: A text, a list of messages, or the keyword arguments of a client's call.
        max_chars: Characters to take at most, from the beginning.
    """
    walk = _Walk(max_chars)
    try:
        given = _unpacked(given)
        if issubclass(type(given), dict):
            get = getter(given)
            if get("role") is not None:
                walk.visit(given, "user")
            for name, role in _INPUT_NAMES:
                walk.visit(get(name), role)
        else:
            walk.visit(given, "user")
    except Exception:
        walk.is_cut = True
    return walk.texts, walk.is_cut


def output_texts(given: object, max_chars: int) -> tuple[Texts, bool]:
    """Return the texts of a response, and whether some were left out; as `input_texts`."""
    walk = _Walk(max_chars)
    try:
        if isinstance(given, StreamText):
            walk.visit(given.text, "assistant")
            walk.is_cut = walk.is_cut or given.is_cut
        else:
            walk.visit(_unpacked(given), "assistant")
    except Exception:
        walk.is_cut = True
    return walk.texts, walk.is_cut


def _unpacked(given: object) -> object:
    """Return what is in the `body` of an InvokeModel call, or its response; others as they are."""
    body = given.get("body") if type(given) is dict else None
    if body is None:
        return given
    parsed = _parsed(body)
    results = parsed.get("results") if type(parsed) is dict else None  # Titan's answers
    return parsed if results is None else results


def _parsed(text: object) -> object:
    return parse_json(text, MAX_BODY_BYTES)


class StreamText:
    """Puts the text of a streamed response together, as far as there is room for it."""

    __slots__ = ("_parts", "_room", "is_cut")

    def __init__(self, max_chars: int) -> None:
        self._parts: list[str] = []
        self._room = max_chars
        self.is_cut = False

    @property
    def text(self) -> str:
        """What has arrived so far."""
        return "".join(self._parts)

    def add(self, chunk: object) -> None:
        """Take the text of one chunk; never raises."""
        if self._room <= 0:
            self.is_cut = True
            return
        try:
            for text in _delta_texts(chunk):
                self.is_cut = self.is_cut or len(text) > self._room
                self._parts.append(text[: max(0, self._room)])
                self._room -= len(text)
        except Exception:
            self.is_cut = True


def _delta_texts(chunk: object) -> list[str]:
    get = getter(chunk)
    packed = get("chunk")  # InvokeModel
    if packed is not None:
        get = getter(_parsed(getter(packed)("bytes")))
    event = get("data")  # Mistral's package wraps chunks
    if event is not None:
        get = getter(event)
    if get("type") == "message.output.delta":  # Mistral's conversations
        return [text for _, text in output_texts(get("content"), 1 << 20)[0]]
    block = get("contentBlockDelta")  # Bedrock Converse
    if block is not None:
        get = getter(block)
    delta = get("delta")
    if type(delta) is str:  # OpenAI responses: arguments of functions come as deltas too
        return [delta] if get("type") in (None, "response.output_text.delta") else []
    if delta is not None:  # Anthropic, Bedrock, Cohere
        return [text for _, text in output_texts(delta, 1 << 20)[0]]
    choices = get("choices")  # OpenAI chat and completions
    found: list[str] = []
    for choice in items(choices, 128):
        of_choice = getter(choice)
        found += [text for _, text in output_texts(of_choice("delta") or choice, 1 << 20)[0]]
    if not found and get("candidates") is not None:  # Gemini
        found = [text for _, text in output_texts(chunk, 1 << 20)[0]]
    if not found and get("event_type") == "text-generation":  # Cohere's first API
        found = [text for _, text in output_texts(get("text"), 1 << 20)[0]]
    return found or [text for name in _OF_STREAMS if type(text := get(name)) is str]
