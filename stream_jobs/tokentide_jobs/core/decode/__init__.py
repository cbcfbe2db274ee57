"""From lines to judged columns: the fast path accepts, the model judges the rest."""
