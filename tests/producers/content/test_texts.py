"""The texts of requests, responses and streams, in whatever form they come."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest

from tests.each import each
from tokentide.content import texts as content_texts
from tokentide.content.texts import StreamText, input_texts, output_texts

MESSAGES = [
    {"role": "system", "content": "be brief"},
    {"role": "user", "content": [{"type": "text", "text": "who?"}, {"type": "image_url"}]},
]
READ = [("system", "be brief"), ("user", "who?")]


def tree(value: Any) -> Any:
    """Return the same as objects with attributes."""
    if isinstance(value, dict):
        return SimpleNamespace(**{name: tree(inner) for name, inner in value.items()})
    return [tree(inner) for inner in value] if isinstance(value, list) else value


@each(
    ("given", "read"),
    [
        ("who?", [("user", "who?")]),
        (MESSAGES, READ),
        ({"model": "m", "messages": MESSAGES}, READ),
        ({"input": "who?", "instructions": "be brief"}, READ),
        ({"input": [{"role": "user", "content": [{"type": "input_text", "text": "who?"}]}]},
         READ[1:]),
        ({"system": [{"type": "text", "text": "be brief"}], "messages": MESSAGES[1:]}, READ),
        ({"contents": [{"role": "user", "parts": [{"text": "who?"}]}],
          "config": {"system_instruction": "be brief"}}, READ),
        ({"contents": ["who", "?"]}, [("user", "who"), ("user", "?")]),
        ({"system": [{"text": "be brief"}],
          "messages": [{"role": "user", "content": [{"text": "who?"}]}]}, READ),
        ({"prompt": "who?", "max_tokens": 3}, READ[1:]),
        ({"input": ["a", "b"]}, [("user", "a"), ("user", "b")]),
        ({"inputs": "who?", "agent_id": "a"}, READ[1:]),
        ({"modelId": "m", "body": json.dumps({"messages": MESSAGES, "max_tokens": 3})}, READ),
        ({"modelId": "m", "body": b'{"inputText": "who?"}'}, READ[1:]),
        ({"modelId": "m", "body": b"not JSON"}, []),
        (MESSAGES[0], READ[:1]),
        ({}, []),
        (None, []),
        (b"bytes", []),
        (7, []),
    ],
)  # fmt: skip
def test_the_texts_of_a_call_are_read_by_role(given: Any, read: list[tuple[str, str]]) -> None:
    assert input_texts(given, 1000) == (read, False)


@each(
    "given",
    [
        {"choices": [{"message": {"role": "assistant", "content": "it is me"}}]},
        {"choices": [{"text": "it is me"}]},
        {"output": [{"type": "reasoning", "content": [{"text": "hm"}]},
                    {"type": "message", "role": "assistant",
                     "content": [{"type": "output_text", "text": "it is me"}]}]},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "text": "hm"},
                                          {"type": "text", "text": "it is me"},
                                          {"type": "tool_use", "input": {"a": "b"}}]},
        {"candidates": [{"content": {"role": "assistant", "parts": [{"text": "it is me"}]}}]},
        {"output": {"message": {"role": "assistant", "content": [{"text": "it is me"}]}}},
        {"message": {"role": "assistant", "content": [{"type": "text", "text": "it is me"}]}},
        {"outputs": [{"type": "message.output", "content": "it is me"},
                     {"type": "function.call", "arguments": "{}"}]},
        {"generation": "it is me", "stop_reason": "stop"},
        "it is me",
    ],
)  # fmt: skip
def test_the_text_of_a_response_is_read_from_dicts_and_objects(given: Any) -> None:
    for shape in (given, tree(given)):
        assert output_texts(shape, 1000) == ([("assistant", "it is me")], False)


@pytest.mark.parametrize(
    "body",
    [
        {"content": [{"type": "text", "text": "it is me"}]},
        {"output": {"message": {"role": "assistant", "content": [{"text": "it is me"}]}}},
        {"results": [{"outputText": "it is me", "tokenCount": 3}]},
    ],
)
def test_the_text_of_a_body_is_read_when_the_service_has_read_it(body: Any) -> None:
    given = {"ResponseMetadata": {}, "body": json.dumps(body).encode()}
    assert output_texts(given, 1000) == ([("assistant", "it is me")], False)


def test_a_refusal_is_text_of_the_response() -> None:
    given = {"choices": [{"message": {"content": None, "refusal": "no"}}]}
    assert output_texts(given, 9) == ([("assistant", "no")], False)


@each(
    "chunks",
    [
        [{"choices": []}, {"choices": [{"delta": {"role": "assistant", "content": "it "}}]},
         {"choices": [{"delta": {"content": "is me"}}]}, {"choices": [{"delta": {}}]}],
        [{"type": "response.output_text.delta", "delta": "it "},
         {"type": "response.function_call_arguments.delta", "delta": "{}"},
         {"type": "response.output_text.delta", "delta": "is me"},
         {"type": "response.completed", "response": {"output": [{"content": "it is me"}]}}],
        [{"type": "message_start", "message": {"content": []}},
         {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "it "}},
         {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "is me"}},
         {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}],
        [{"candidates": [{"content": {"parts": [{"text": "it "}]}}]},
         {"candidates": [{"content": {"parts": [{"text": "is me"}]}}]}],
        [{"contentBlockDelta": {"delta": {"text": "it is me"}}}, {"metadata": {}}],
        [{"type": "content-delta", "delta": {"message": {"content": {"text": "it is me"}}}}],
        [{"choices": [{"text": "it is me"}]}],
        [{"data": {"choices": [{"delta": {"content": "it "}}]}},
         {"data": {"choices": [{"delta": {"content": "is me"}}]}}],
        [{"data": {"type": "conversation.response.started", "conversation_id": "c"}},
         {"data": {"type": "message.output.delta", "content": "it is me"}},
         {"data": {"type": "function.call.delta", "arguments": "{}"}}],
        [{"chunk": {"bytes": b'{"delta": {"type": "text_delta", "text": "it is "}}'}},
         {"chunk": {"bytes": b'{"outputText": "me"}'}}, {"chunk": {"bytes": b"not JSON"}}],
        [{"event_type": "stream-start"}, {"event_type": "text-generation", "text": "it is me"},
         {"event_type": "stream-end", "response": {"text": "it is me"}}],
    ],
)  # fmt: skip
def test_the_text_of_a_stream_is_put_together(chunks: list[Any]) -> None:
    for shape in (chunks, tree(chunks)):
        text = StreamText(1000)
        for chunk in shape:
            text.add(chunk)
        assert (text.text, text.is_cut) == ("it is me", False)


def test_texts_are_cut_at_the_limit_and_say_so() -> None:
    assert input_texts(["abc", "def"], 5) == ([("user", "abc"), ("user", "de")], True)
    text = StreamText(5)
    for word in ("abc", "def", "ghi"):
        text.add({"choices": [{"delta": {"content": word}}]})
    assert (text.text, text.is_cut) == ("abcde", True)


def test_hostile_shapes_end_and_raise_nothing() -> None:
    endless: dict[str, Any] = {"role": "user"}
    endless["content"] = [endless, endless]

    class Raising:
        @property
        def content(self) -> str:
            raise RuntimeError

        @property
        def role(self) -> str:
            raise KeyError

    many = [{"role": "user", "content": "x"}] * 100_000
    for given in (
        endless,
        Raising(),
        MagicMock(),
        many,
        {"messages": many},
        [[[[[[[[[["x"]]]]]]]]]],
    ):
        for read in (input_texts, output_texts):
            texts, _is_cut = read(given, 10_000)
            assert len(texts) <= content_texts.MAX_NODES
        StreamText(10).add(given)
