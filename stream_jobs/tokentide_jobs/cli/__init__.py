"""The `tokentide` command: one module a command group."""
