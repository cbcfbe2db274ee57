"""Files that people write: prices in YAML, with line numbers in every error."""
