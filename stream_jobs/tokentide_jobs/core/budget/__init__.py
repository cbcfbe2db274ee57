"""Budgets: what may be spent on what in which period, what was, how fast, and what is reported."""
