"""How a provider is called: one name of all that instrumentations and gateways spell.

Prices are looked up under that name, so an unknown spelling is a call without a price.
"""

from __future__ import annotations

PROVIDERS = {
    "amazon-bedrock": "aws.bedrock",
    "amazon_bedrock": "aws.bedrock",
    "aws": "aws.bedrock",
    "aws_bedrock": "aws.bedrock",
    "az.ai.inference": "azure.ai.inference",
    "az.ai.openai": "azure.ai.openai",
    "azure": "azure.ai.openai",
    "azure-openai": "azure.ai.openai",
    "azure_ai": "azure.ai.inference",
    "azure_openai": "azure.ai.openai",
    "azureopenai": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "bedrock_converse": "aws.bedrock",
    "fireworks_ai": "fireworks",
    "gemini": "gcp.gemini",
    "google": "gcp.gemini",
    "google_genai": "gcp.gemini",
    "google_generativeai": "gcp.gemini",
    "google.generative-ai": "gcp.gemini",
    "google_vertexai": "gcp.vertex_ai",
    "google.vertex": "gcp.vertex_ai",
    "grok": "x_ai",
    "mistral": "mistral_ai",
    "mistralai": "mistral_ai",
    "moonshot": "moonshot_ai",
    "moonshotai": "moonshot_ai",
    "together_ai": "together",
    "togetherai": "together",
    "vertex_ai": "gcp.vertex_ai",
    "vertex_ai_beta": "gcp.vertex_ai",
    "vertexai": "gcp.vertex_ai",
    "watsonx": "ibm.watsonx.ai",
    "x-ai": "x_ai",
    "x.ai": "x_ai",
    "xai": "x_ai",
}
"""Other spellings -> the name the conventions give a provider, which prices are looked up under."""


def provider_name(name: str) -> str:
    """Return the conventions' name of a provider that is spelled in any of the known ways."""
    lowered = name.strip().lower()
    if lowered in PROVIDERS:
        return PROVIDERS[lowered]
    # Vercel's SDK appends the API: `openai.chat`, `google.generative-ai`, `anthropic.messages`.
    head, dot, tail = lowered.rpartition(".")
    if dot and tail in ("chat", "completion", "responses", "messages", "embedding", "generate"):
        return PROVIDERS.get(head, head)
    return lowered
