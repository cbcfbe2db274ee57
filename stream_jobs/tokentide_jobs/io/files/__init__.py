"""Files that people write: prices and budgets in YAML, with line numbers in every error."""
