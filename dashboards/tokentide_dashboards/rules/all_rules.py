"""All alert rules: a rule that is taken out of this list would stay in Grafana, so pause it."""

from __future__ import annotations

from tokentide_dashboards.rules.calls import CALL_RULES
from tokentide_dashboards.rules.pipeline_health import PIPELINE_RULES
from tokentide_dashboards.rules.rule import Rule
from tokentide_dashboards.rules.spend import SPEND_RULES

__all__ = ["GROUPS", "RULES"]

GROUPS: dict[str, tuple[Rule, ...]] = {
    "Spend": SPEND_RULES,
    "Calls": CALL_RULES,
    "Pipeline": PIPELINE_RULES,
}
"""Rules by the name of their group; Grafana evaluates one group in order, once a minute."""
RULES: tuple[Rule, ...] = tuple(rule for rules in GROUPS.values() for rule in rules)
