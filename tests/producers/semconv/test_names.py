"""The tables of names: providers, operations, and the fields that attributes fill."""

from __future__ import annotations

import re

from tests.each import each
from tests.producers.semconv.spans import LATEST, event
from tokentide.semconv.names import CALL, OPERATIONS, USAGE
from tokentide.semconv.providers import PROVIDERS, provider_name
from tokentide.usage import USAGE_FIELDS
from tokentide_schemas.events import RequestEvent


def test_providers_are_named_as_the_conventions_name_them() -> None:
    assert [provider_name(n) for n in ("xai", "x-ai", "X_AI", "x.ai")] == ["x_ai"] * 4
    assert provider_name("az.ai.openai") == provider_name("azure") == "azure.ai.openai"
    assert provider_name("google.generative-ai") == "gcp.gemini"
    assert provider_name("openai.chat") == "openai"
    assert provider_name("ibm.watsonx.ai") == "ibm.watsonx.ai"
    assert provider_name("some newcomer") == "some newcomer"
    assert all(provider_name(known) == known for known in PROVIDERS.values())


def test_the_table_fills_fields_of_the_contract_only() -> None:
    fields = {names.field for names in (*USAGE, *CALL)}
    assert fields <= set(RequestEvent.model_fields)
    assert {names.field for names in USAGE} <= set(USAGE_FIELDS)
    for names in (*USAGE, *CALL):
        assert names.sources
        for source in names.sources:
            assert re.fullmatch(r"[a-zA-Z0-9_.]+", source.attribute)
    assert set(OPERATIONS.values()) >= {"chat", "embeddings"}


@each(("scope", "service"), [("openlit.instrumentation.openai", "shop"), ("my.own", "default")])
def test_a_service_called_default_is_none_in_openlits_spans_alone(scope: str, service: str) -> None:
    named = {**LATEST, "service.name": "default"}
    found = event(named, resource={"service.name": "shop"}, scope=scope)
    assert found["service"] == service
