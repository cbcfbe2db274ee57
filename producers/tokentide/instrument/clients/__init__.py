"""One module a client package: which of its functions are calls of a model, and how they end."""
