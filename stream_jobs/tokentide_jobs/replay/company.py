"""Who calls: the invented company whose services, teams, tenants and models the calls are given to.

None of this is recorded; it is assigned by seeded draws and declared as such. Model ids are real
ones with a list price, but for the self-hosted model, which is unpriced on purpose.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Final, Generic, TypeVar

__all__ = [
    "AGENTS",
    "APPS",
    "CHANGES",
    "JOINED",
    "REASONING",
    "TENANTS",
    "App",
    "ModelEndpoint",
    "Weighted",
    "app_of_one_model",
]

T = TypeVar("T")

JOINED: Final = (
    "tenant, team, service, feature, prompt, user and, where none was recorded, provider and "
    "model: assigned by seed",
    "refusals, filtered, abandoned and cancelled calls: drawn at fixed small shares",
    "evaluations, feedback, and deploy, prompt and model changes: made up to match",
)


class Weighted(Generic[T]):
    """Items with weights, drawn by one random number each."""

    __slots__ = ("_bounds", "items")

    def __init__(self, items: Sequence[tuple[T, float]]) -> None:
        self.items = tuple(item for item, _ in items)
        total = sum(weight for _, weight in items)
        self._bounds = tuple(accumulate(weight / total for _, weight in items))[:-1]

    def draw(self, random_number: float) -> T:
        """Return the item at `random_number` of [0, 1)."""
        return self.items[bisect_right(self._bounds, random_number)]


@dataclass(frozen=True, slots=True)
class ModelEndpoint:
    """A model at a provider, and the llmperf provider whose measured pace it is given."""

    provider: str
    model: str
    pace_of: str
    service_tier: str = ""


@dataclass(frozen=True, slots=True)
class App:
    """One service with the one thing it uses models for."""

    service: str
    team: str
    feature: str
    prompt: str
    versions: tuple[str, str]
    """Prompt version before and after its change."""
    endpoints: Weighted[ModelEndpoint]
    stream_share: float
    temperature: float | None
    judge: str = ""
    """Name of the evaluation that its answers get, or empty."""
    judge_share: float = 0.0
    quality: tuple[float, float] = (0.9, 0.9)
    """Mean score before and after the prompt change."""
    feedback_share: float = 0.0
    has_tools: bool = False


APPS: Final = Weighted(
    [
        (
            App(
                "support-chat", "customer-care", "answer", "support-answer", ("v12", "v13"),
                Weighted([
                    (ModelEndpoint("openai", "gpt-6.1-terra", "together"), 0.66),
                    (ModelEndpoint("openai", "gpt-6.1-terra", "together", "priority"), 0.04),
                    (ModelEndpoint("anthropic", "claude-sonnet-5-5", "perplexity"), 0.30),
                ]),
                0.85, 0.3, "faithfulness", 0.04, (0.91, 0.84), 0.03, has_tools=True,
            ),
            0.34,
        ),
        (
            App(
                "search-answers", "search", "summarise", "search-summary", ("v7", "v8"),
                Weighted([
                    (ModelEndpoint("google", "gemini-3.8-flash", "groq"), 0.8),
                    (ModelEndpoint("google", "gemini-4-argon", "fireworks"), 0.2),
                ]),
                0.6, 0.1, "relevance", 0.03, (0.82, 0.86), 0.01,
            ),
            0.26,
        ),
        (
            App(
                "mail-writer", "growth", "draft", "mail-draft", ("v3", "v4"),
                Weighted([
                    (ModelEndpoint("mistral", "mistral-medium-3-5", "fireworks"), 0.7),
                    (ModelEndpoint("mistral", "mistral-small-2603", "anyscale"), 0.3),
                ]),
                0.0, 0.8, feedback_share=0.05,
            ),
            0.16,
        ),
        (
            App(
                "content-guard", "trust-safety", "classify", "guard-classify", ("v21", "v21"),
                Weighted([
                    (ModelEndpoint("openai", "gpt-6-luna", "anyscale"), 0.75),
                    (ModelEndpoint("anthropic", "claude-haiku-5-5", "anyscale"), 0.25),
                ]),
                0.0, 0.0, "policy", 0.10, (0.97, 0.97),
            ),
            0.16,
        ),
        (
            App(
                "doc-assistant", "documents", "extract", "doc-extract", ("v5", "v6"),
                Weighted([
                    (ModelEndpoint("openai", "gpt-5.4-mini", "bedrock"), 0.5),
                    (ModelEndpoint("anthropic", "claude-sonnet-5-5", "perplexity"), 0.5),
                ]),
                0.3, 0.0, "schema_valid", 0.05, (0.95, 0.98), has_tools=True,
            ),
            0.08,
        ),
    ]
)  # fmt: skip
"""Services that chat calls are given to, by share of calls."""

AGENTS: Final = App(
    "code-assistant", "developer-tools", "agent", "coding-agent", ("v31", "v32"),
    Weighted([(ModelEndpoint("anthropic", "", "perplexity"), 1.0)]),
    0.0, None, feedback_share=0.01, has_tools=True,
)  # fmt: skip
"""The service of recorded agent sessions; models are the recorded ones."""

REASONING: Final = App(
    "research-desk", "research", "analyse", "research-plan", ("v2", "v2"),
    Weighted([(ModelEndpoint("vllm", "deepseek-r1", "replicate"), 1.0)]),
    1.0, 0.6,
)  # fmt: skip
"""The service of reasoning calls: a self-hosted model that no price list knows."""

TENANTS: Final = Weighted(
    [
        ("aurora-health", 108_696.0),
        ("bluebird-bank", 92_449.0),
        ("cobalt-retail", 68_084.0),
        ("delta-freight", 61_182.0),
        ("ember-games", 56_190.0),
        ("fjord-media", 48_017.0),
        ("granite-law", 41_230.0),
        ("harbor-travel", 33_072.0),
    ]
)
"""Tenants, as unequal as ServeGen's clients ranked two to nine (requests a day)."""

CHANGES: Final = (
    (0.02, AGENTS.service, "deploy", "code-assistant", "2.41.0", "2.42.0"),
    (0.35, "content-guard", "deploy", "content-guard", "1.9.3", "1.9.4"),
    (0.50, "support-chat", "prompt", "support-answer", "v12", "v13"),
    (0.50, "search-answers", "prompt", "search-summary", "v7", "v8"),
    (0.50, "mail-writer", "prompt", "mail-draft", "v3", "v4"),
    (0.50, "doc-assistant", "prompt", "doc-extract", "v5", "v6"),
    (0.50, AGENTS.service, "prompt", "coding-agent", "v31", "v32"),
    (0.75, "search-answers", "model", "gemini-4-argon", "", "gemini-4-argon"),
)
"""(place in the trace from 0 to 1, service, kind, subject, from, to)."""


def app_of_one_model(service: str, model: str) -> App:
    """Return the app of a service, with all its calls at one model and the default tier."""
    (app,) = (one for one in APPS.items if one.service == service)
    (endpoint,) = (
        one for one in app.endpoints.items if one.model == model and not one.service_tier
    )
    return replace(app, endpoints=Weighted([(endpoint, 1.0)]))
