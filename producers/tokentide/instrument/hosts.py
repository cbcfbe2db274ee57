"""Who answers, judged by the address of a client: the event's `provider`, server and region.

Many providers speak OpenAI's or Anthropic's API, so the client's package says little. Source of the
names: OpenTelemetry's `gen_ai.provider.name`; others are the provider's own name.
"""

from __future__ import annotations

from urllib.parse import urlsplit

_BY_SUFFIX = (
    ("openai.com", "openai"),
    ("openai.azure.com", "azure.ai.openai"),
    ("cognitiveservices.azure.com", "azure.ai.openai"),
    ("services.ai.azure.com", "azure.ai.openai"),
    ("models.ai.azure.com", "azure.ai.inference"),
    ("anthropic.com", "anthropic"),
    ("groq.com", "groq"),
    ("deepseek.com", "deepseek"),
    ("openrouter.ai", "openrouter"),
    ("perplexity.ai", "perplexity"),
    ("x.ai", "x_ai"),
    ("mistral.ai", "mistral_ai"),
    ("cohere.ai", "cohere"),
    ("cohere.com", "cohere"),
    ("moonshot.ai", "moonshot_ai"),
    ("moonshot.cn", "moonshot_ai"),
    ("together.xyz", "together"),
    ("together.ai", "together"),
    ("fireworks.ai", "fireworks"),
    ("cerebras.ai", "cerebras"),
    ("generativelanguage.googleapis.com", "gcp.gemini"),
    ("googleapis.com", "gcp.vertex_ai"),
    ("amazonaws.com", "aws.bedrock"),
    ("api.aws", "aws.bedrock"),
)
"""(end of the host's name, provider); the first that fits."""

_BY_CLASS = (
    ("Azure", "azure.ai.openai"),
    ("Foundry", "azure.ai.inference"),
    ("Bedrock", "aws.bedrock"),
    ("Vertex", "gcp.vertex_ai"),
)
"""(part of the client's class name, provider): for gateways in front of a known cloud."""

_DEFAULT_PORTS = {"http": 80, "https": 443}


def describe_server(client: object, address: str, fallback: str) -> dict[str, object]:
    """Return provider, server_address, and server_port and region where the address has them.

    Args:
        client: The client object; its class tells what a private address hides.
        address: Base URL of the client.
        fallback: Provider when nothing is recognised.
    """
    parts = urlsplit(address)
    host = (parts.hostname or "").lower()
    described: dict[str, object] = {"provider": _provider(type(client), host, fallback)}
    if fallback == "anthropic" and described["provider"] == "azure.ai.openai":
        described["provider"] = "azure.ai.inference"  # one host, and this is not OpenAI's model
    if host:
        described["server_address"] = host
    port = _port(address)
    if port is not None and port != _DEFAULT_PORTS.get(parts.scheme):
        described["server_port"] = port
    region = _region(host)
    if region:
        described["region"] = region
    return described


def _provider(kind: type, host: str, fallback: str) -> str:
    names = " ".join(base.__name__ for base in kind.__mro__)
    for part, provider in _BY_CLASS:
        if part in names:
            return provider
    for suffix, provider in _BY_SUFFIX:
        if host == suffix or host.endswith("." + suffix):
            return provider
    return fallback


def _port(address: str) -> int | None:
    try:
        return urlsplit(address).port
    except ValueError:
        return None


def _region(host: str) -> str:
    """Return the region that clouds put into the names of their servers."""
    if host.endswith(".amazonaws.com"):
        parts = host.split(".")
        return parts[1] if len(parts) == 4 else ""  # bedrock-runtime.eu-west-1.amazonaws.com
    if host.endswith("-aiplatform.googleapis.com"):
        return host.removesuffix("-aiplatform.googleapis.com")
    return ""
