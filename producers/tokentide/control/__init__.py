"""What the pipeline reports back: state of runs and budgets, for services that stop themselves."""

from tokentide.control.states import BudgetState, RunState

__all__ = ["BudgetState", "RunState"]
