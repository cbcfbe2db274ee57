"""What the clients share that Stainless generates: OpenAI's, Anthropic's and a part of Google's."""
