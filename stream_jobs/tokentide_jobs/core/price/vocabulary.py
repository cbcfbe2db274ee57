"""From the names an event carries to the names prices are listed under.

Providers: OpenTelemetry's names mapped to genai-prices' ids. Tiers: what providers call their
standard, batch, flex and priority service, mapped to one vocabulary, so that the same tier is
never missed because of its spelling.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["PROVIDER_ALIASES", "CallTerms", "place_of", "price_contexts", "tier_context"]

PROVIDER_ALIASES: dict[str, str] = {
    "aws.bedrock": "aws",
    "az.ai.inference": "azure",
    "az.ai.openai": "azure",
    "azure.ai.inference": "azure",
    "azure.ai.openai": "azure",
    "azure_openai": "azure",
    "gcp.gemini": "google",
    "gcp.gen_ai": "google",
    "gcp.vertex_ai": "google",
    "google_genai": "google",
    "google_vertexai": "google",
    "mistral_ai": "mistral",
    "moonshot_ai": "moonshotai",
    "vertex_ai": "google",
    "vertex_ai_beta": "google",
    "x.ai": "x-ai",
    "x_ai": "x-ai",
    "xai": "x-ai",
}
"""OpenTelemetry and gateway names -> provider ids of genai-prices, tried before its own rules."""

_STANDARD_TIERS = frozenset(
    {"", "auto", "default", "on_demand", "ondemand", "standard", "standard_only"}
)
_TIER_SPELLINGS = {
    "on_demand_flex": ("service_tier", "flex"),
    "on_demand_priority": ("service_tier", "priority"),
    # Anthropic reports batch as a service tier; the price lists call it a way of processing.
    "batch": ("processing", "batch"),
    "batches": ("processing", "batch"),
}
_STANDARD_SPEEDS = frozenset({"", "default", "normal", "standard"})
_STANDARD_GEOS = frozenset({"", "default", "global", "not_available"})


_OWN_PROFILE = ":application-inference-profile/"


class CallTerms(NamedTuple):
    """What decides the price of a call, as the event reports it; the empty string is absent."""

    tenant: str = ""
    provider: str = ""
    upstream_provider: str = ""
    request_model: str = ""
    response_model: str = ""
    service_tier: str = ""
    service_tier_requested: str = ""
    processing: str = ""
    speed: str = ""
    inference_geo: str = ""
    region: str = ""

    def model_names(self) -> tuple[str, ...]:
        """Return the names to look the model up under: as served, then as requested; lower case.

        A Bedrock profile of the customer's own comes first: it may have an alias. So does an id of
        Bedrock's that names the model as served: its prefix says in which places it is served.
        """
        served, asked = self.response_model.strip().lower(), self.request_model.strip().lower()
        model = asked.partition("anthropic.")[2]
        is_id = bool(model and served) and model.startswith(served)
        names = (asked, served) if _OWN_PROFILE in asked or is_id else (served, asked)
        return tuple(dict.fromkeys(name for name in names if name))

    def is_behind_profile(self, name: str) -> bool:
        """Tell whether a lower-case name was served behind a Bedrock profile of the customer's own.

        Such a profile says nothing of its model and of the places that it is served in.
        """
        served, asked = self.response_model.strip().lower(), self.request_model.strip().lower()
        return _OWN_PROFILE in asked and name == served


def tier_context(call: CallTerms) -> tuple[tuple[str, str], ...]:
    """Return the non-standard conditions of service as sorted (key, value) pairs.

    The tier as served decides; only when the provider did not report it, the tier asked for does.
    """
    context: dict[str, str] = {}
    tier = _word(call.service_tier) or _word(call.service_tier_requested)
    if tier not in _STANDARD_TIERS:
        key, value = _TIER_SPELLINGS.get(tier, ("service_tier", tier))
        context[key] = value
    if _word(call.processing) not in ("", "sync"):
        context["processing"] = _word(call.processing)
    if (speed := _word(call.speed)) not in _STANDARD_SPEEDS:
        context["speed"] = speed
    if (geo := _word(call.inference_geo)) not in _STANDARD_GEOS:
        context["inference_geo"] = geo
    return tuple(sorted(context.items()))


_REGION_COUNTS = frozenset({"aws", "azure", "google", "openai", "x-ai"})
"""Price lists whose events say the place by `region`; elsewhere it is where the caller runs."""
_AWS_ROUTES = frozenset({"us", "us-gov", "eu", "apac", "jp", "au", "ca", "in", "global"})
"""First part of a Bedrock profile's id: the geography that the request may be served in."""


def place_of(call: CallTerms, provider: str, model: str) -> str:
    """Return where the call was served, as a lower-case word; the empty string is not known.

    Args:
        call: The call.
        provider: Id of the price list.
        model: The lower-case model name; profiles of Bedrock carry their geography in it.
    """
    geo = _word(call.inference_geo)
    if geo not in _STANDARD_GEOS:
        return geo
    if geo in ("default", "global"):
        return "global"
    route = model.partition(".")[0]
    if provider == "aws" and route in _AWS_ROUTES:
        return route
    return _word(call.region) if provider in _REGION_COUNTS else ""


def price_contexts(call: CallTerms) -> dict[str, str]:
    """Return every condition a card variant may ask for, including a gateway's route."""
    context = dict(tier_context(call))
    if call.upstream_provider:
        context["route"] = _word(call.upstream_provider)
    return context


def _word(text: str) -> str:
    return text.strip().lower()
