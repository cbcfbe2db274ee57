"""Values of price files, read from their text: rates, factors and instants, never through a float.

The overrides file and our own prices share them, so that both quote prices in the same units and
refuse the same mistakes.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation

from yaml.nodes import MappingNode, Node, ScalarNode

from tokentide_jobs.core.price.bill import UNITS_IN_OTHER
from tokentide_jobs.core.price.cards import DAY_US, MAX_RATE_PICO_USD, Rate, rate_pico_usd
from tokentide_jobs.core.price.units import LEAVES, UNIT_DENOMINATORS
from tokentide_jobs.io.files.yaml_entries import Problems, mapping

__all__ = ["instant_us", "multiplier", "rates_of"]

_DECIMAL = re.compile(r"\d{1,12}(\.\d{1,12})?([eE]-?\d{1,2})?")
_MAX_MULTIPLIER = Decimal(1_000)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_BILLED_UNITS = UNITS_IN_OTHER.union(*(leaf.chain for leaf in LEAVES))
"""Units some part of an event is billed under; a rate for any other would never be used."""
_QUOTED = {key: found for key, found in UNIT_DENOMINATORS.items() if found[0] in _BILLED_UNITS}
_RATE_KEYS: dict[str, tuple[str, int]] = (
    _QUOTED
    | {key.removesuffix("_mtok"): found for key, found in _QUOTED.items()}
    | {unit: (unit, per) for unit, per in _QUOTED.values() if unit.endswith("_tokens")}
)
"""`input_mtok` as genai-prices writes it; `input` and `input_tokens` mean the same."""


def instant_us(key: str, fields: dict[str, Node], problems: Problems) -> int | None:
    """Read a UTC date or a timestamp as epoch microseconds."""
    node = fields.get(key)
    if node is None or (isinstance(node, ScalarNode) and node.value in ("", "null", "~")):
        return None
    text = node.value.strip() if isinstance(node, ScalarNode) else ""
    try:
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
            return (date.fromisoformat(text) - date(1970, 1, 1)).days * DAY_US
        moment = datetime.fromisoformat(text)
    except ValueError:
        problems.add(node, f"{key}: {text!r} is no date (2026-01-31) or time with zone")
        return None
    if moment.tzinfo is None:
        problems.add(node, f"{key}: {text!r} has no time zone; append Z for UTC")
        return None
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def rates_of(node: Node, problems: Problems) -> dict[str, Rate]:
    """Read rates by their quoted names, in USD per million tokens or per unit."""
    if not isinstance(node, MappingNode) or not node.value:
        problems.add(node, "rates: expected at least one `input_mtok: USD per million tokens`")
        return {}
    rates: dict[str, Rate] = {}
    for key_node, value in node.value:
        key = str(key_node.value)
        if key not in _RATE_KEYS:
            known = ", ".join(sorted(_QUOTED))
            problems.add(key_node, f"rates.{key}: unknown unit; known: {known}")
            continue
        unit, per = _RATE_KEYS[key]
        if unit in rates:
            problems.add(key_node, f"rates.{key}: {unit} has a rate already")
            continue
        rate = _rate(key, value, per, problems)
        if rate is not None:
            rates[unit] = rate
    return rates


def _rate(key: str, node: Node, per: int, problems: Problems) -> Rate | None:
    """Read one rate: a number, or `{base: 3, above: {200000: 6}}` for long-context prices."""
    if not isinstance(node, MappingNode):
        base = _pico_usd(f"rates.{key}", node, per, problems)
        return None if base is None else Rate(base)
    fields = mapping(node, ("base", "above"), f"rates.{key}", problems)
    if set(fields) != {"base", "above"} or not isinstance(fields["above"], MappingNode):
        problems.add(node, f"rates.{key}: expected {{base: RATE, above: {{INPUT_TOKENS: RATE}}}}")
        return None
    base = _pico_usd(f"rates.{key}.base", fields["base"], per, problems)
    tiers: dict[int, int] = {}
    for start_node, value in fields["above"].value:
        start = str(start_node.value).replace("_", "")
        rate = _pico_usd(f"rates.{key}.above.{start}", value, per, problems)
        if not re.fullmatch(r"\d{1,12}", start) or int(start) in tiers:
            problems.add(start_node, f"rates.{key}.above: {start!r} is no new number of tokens")
        elif rate is not None:
            tiers[int(start)] = rate
    return None if base is None else Rate(base, tuple(sorted(tiers.items())))


def _pico_usd(where: str, node: Node, per: int, problems: Problems) -> int | None:
    number = _decimal(where, node, problems)
    if number is None:
        return None
    exact = number * 10**12 / per
    if exact > MAX_RATE_PICO_USD:
        problems.add(node, f"{where}: {number} USD is more than 1,000 USD for a single unit")
        return None
    if per == 1_000_000 and exact != exact.to_integral_value():
        problems.add(node, f"{where}: {number} has more than six decimals: finer than pico-USD")
        return None
    return rate_pico_usd(number, per)


def multiplier(node: Node, problems: Problems) -> str:
    """Read a factor on prices as the text of a decimal."""
    number = _decimal("multiplier", node, problems)
    if number is not None and number > _MAX_MULTIPLIER:
        problems.add(node, f"multiplier: {number} is more than {_MAX_MULTIPLIER}")
        return ""
    return "" if number is None else str(number)


def _decimal(where: str, node: Node, problems: Problems) -> Decimal | None:
    text = node.value.strip() if isinstance(node, ScalarNode) else "a list or mapping"
    try:
        if _DECIMAL.fullmatch(text):
            return Decimal(text)
    except InvalidOperation:
        pass
    problems.add(node, f"{where}: {text!r} is no decimal number of zero or more")
    return None
