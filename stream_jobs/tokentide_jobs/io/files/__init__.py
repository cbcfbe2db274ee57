"""YAML that people write: prices, budgets, objectives, detection. Errors name the line."""
