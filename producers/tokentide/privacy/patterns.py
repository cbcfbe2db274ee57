"""What sensitive text looks like: patterns and check digits of each class.

Every pattern is linear by construction: each starts at a fixed anchor, its repetitions are bounded,
and no two neighbouring parts can match the same character. The length looked at is bounded too.
Numbers count only when their check digits are right (cards: Luhn, IBAN: ISO 7064 mod 97-10).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

_EMAIL_AT = re.compile(r"@(?<=[A-Za-z0-9_+-]@)(?<!git@)(?=[A-Za-z0-9])", re.ASCII)
_EMAIL_DOMAIN = re.compile(r"(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![A-Za-z0-9-])", re.ASCII)
_NOT_MAIL = frozenset(("png", "jpg", "jpeg", "gif", "svg", "webp", "css", "js", "py"))
"""Ends of file names such as `logo@2x.png`, which look like addresses."""

# The first sign comes before the look behind it: the engine then skips to such signs quickly.
_IBAN = re.compile(
    r"[A-Z](?<![A-Za-z0-9][A-Z])[A-Z][0-9]{2}(?: ?[A-Z0-9]){11,30}(?![A-Za-z0-9])", re.ASCII
)
_DIGITS = re.compile(r"[0-9](?<![A-Za-z0-9.][0-9])(?:[ -]?[0-9]){12,18}(?![0-9])", re.ASCII)
_CARD = re.compile(
    r"4(?:[0-9]{12}|[0-9]{15}|[0-9]{18})"  # Visa
    r"|(?:5[1-5]|2(?:2[2-9]|[3-6][0-9]|7[01]))[0-9]{14}|2720[0-9]{12}"  # Mastercard
    r"|3[47][0-9]{13}|3(?:0[0-5]|[689][0-9])[0-9]{11}|35[0-9]{14}"  # Amex, Diners, JCB
    r"|6(?:011|4[4-9][0-9]|5[0-9]{2})[0-9]{12}",  # Discover
    re.ASCII,
)

_PHONE_INTERNATIONAL = re.compile(
    r"[+0](?<![A-Za-z0-9+.][+0])(?:(?<=\+)[1-9]|(?<![0-9] 0)(?<=0)0[1-9][0-9]{0,2}[ /-])"
    r"(?:[ .()/-]{0,2}[0-9]){7,14}(?![0-9])",
    re.ASCII,
)
_PHONE_NORTH_AMERICAN = re.compile(
    r"[(2-9](?<![A-Za-z0-9+./-][(2-9])(?:(?<=\()[2-9][0-9]{2}\) ?|(?<!\()[0-9]{2}[-.])"
    r"[2-9][0-9]{2}[-. ][0-9]{4}(?![A-Za-z0-9-])",
    re.ASCII,
)

_STARTS = (
    "sk- AKIA ASIA ghp_ gho_ ghu_ ghs_ ghr_ github_pat_ glpat- AIza ya29. xox sk_ rk_ hf_ gsk_ "
    "xai- pplx- npm_ pypi- eyJ -----BEGIN"
)
_SECRET_STARTS = _STARTS.split()
"""One of these is in every text that holds a known secret: looking for them is ten times faster."""
_SECRETS = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"sk-(?:proj-|svcacct-|ant-|or-)?[A-Za-z0-9_-]{20,256}"  # OpenAI, Anthropic, OpenRouter
    r"|(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])"  # AWS
    r"|gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{22,255}"
    r"|glpat-[A-Za-z0-9_-]{20,64}"
    r"|AIza[A-Za-z0-9_-]{35}|ya29\.[A-Za-z0-9_-]{20,512}"  # Google
    r"|xox[abprs]-[A-Za-z0-9-]{10,255}"  # Slack
    r"|(?:sk|rk)_(?:live|test)_[A-Za-z0-9]{16,255}"  # Stripe
    r"|hf_[A-Za-z0-9]{30,64}|gsk_[A-Za-z0-9]{30,64}|xai-[A-Za-z0-9]{40,128}|pplx-[A-Za-z0-9]{30,64}"
    r"|npm_[A-Za-z0-9]{36}|pypi-[A-Za-z0-9_-]{40,512}"
    r"|(?<![_-])eyJ[A-Za-z0-9_-]{8,2048}\.eyJ[A-Za-z0-9_-]{8,4096}\.[A-Za-z0-9_-]{8,1024}"  # JWT
    r")"
    r"|-----BEGIN (?:[A-Z]{2,10} ){0,2}PRIVATE KEY-----",
    re.ASCII,
)
_ASSIGNED = re.compile(
    r"[=:]\s{0,3}[\"']?([A-Za-z0-9+/_.~!@#$%^&*-]{16,256})(?![A-Za-z0-9+/_.~!@#$%^&*-])", re.ASCII
)
_NAME = re.compile(
    r"(?i:key|token|secret|passwd|password|pwd|credential)s?[\"']?\s{0,3}\Z", re.ASCII
)
_NAME_CHARS = 20
"""So much before an assignment holds the end of its name, a quote and spaces."""
MIN_CHANGES = 0.3
"""Of a random text, share of signs whose kind (small, capital, digit) differs from the one before:
hexadecimal digits 0.47, base 64 0.62, names made of words below 0.3."""


def _emails(text: str) -> Iterator[int]:
    # Searched from the `@`: a pattern for what stands before it would be tried at every letter.
    for at in _EMAIL_AT.finditer(text):
        domain = _EMAIL_DOMAIN.match(text, at.end())
        if domain and domain.group().rpartition(".")[2].lower() not in _NOT_MAIL:
            yield at.start()


def _phones(text: str) -> Iterator[int]:
    for pattern in (_PHONE_INTERNATIONAL, _PHONE_NORTH_AMERICAN):
        for found in pattern.finditer(text):
            yield found.start()


def _cards(text: str) -> Iterator[int]:
    for found in _DIGITS.finditer(text):
        if any(_is_card(digits) for digits in _beginnings(found.group())):
            yield found.start()


def _is_card(digits: str) -> bool:
    return _CARD.fullmatch(digits) is not None and len(set(digits)) > 1 and luhn(digits)


def _ibans(text: str) -> Iterator[int]:
    for found in _IBAN.finditer(text):
        if any(map(is_iban, _beginnings(found.group()))):
            yield found.start()


def _beginnings(text: str) -> Iterator[str]:
    """Yield the first group, the first two groups, and so on, without what separates them.

    The patterns are greedy and may have taken in what follows the number: an expiry date, a word.
    """
    joined = ""
    for part in text.replace("-", " ").split(" "):
        joined += part
        yield joined


def _secrets(text: str) -> Iterator[int]:
    found: re.Match[str]
    has_known = any(start in text for start in _SECRET_STARTS)
    for found in _SECRETS.finditer(text) if has_known else ():
        key = found.group()
        # A word such as `sk-learn-based-classification` has no digit, every key has.
        if not key.startswith("sk-") or any(map(str.isdigit, key)):
            yield found.start()
    # What was found above must not count again for the name before it.
    rest = _SECRETS.sub(" ", text) if has_known else text
    for found in _ASSIGNED.finditer(rest):
        name = rest[max(0, found.start() - _NAME_CHARS) : found.start()]
        if _NAME.search(name) and _is_random(found.group(1)):
            yield found.start()


FINDERS: dict[str, Callable[[str], Iterator[int]]] = {
    "email": _emails,
    "phone": _phones,
    "card": _cards,
    "iban": _ibans,
    "secret": _secrets,
}


def luhn(digits: str) -> bool:
    """Return whether the last digit checks the others (ISO/IEC 7812)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        number = int(digit) * (1 + place % 2)
        total += number - 9 if number > 9 else number
    return total % 10 == 0


def is_iban(text: str) -> bool:
    """Return whether the two check digits are right (ISO 13616, ISO 7064 mod 97-10)."""
    if not 15 <= len(text) <= 34:
        return False
    moved = text[4:] + text[:4]
    return int("".join(str(int(sign, 36)) for sign in moved)) % 97 == 1


def _is_random(text: str) -> bool:
    """Return whether the text looks random instead of composed of words and numbers."""
    kinds = [_kind(sign) for sign in text]
    if "digit" not in kinds or not {"small", "capital"} & set(kinds):
        return False
    # Across a separator nothing is counted: `v2_alpha_2026` is three words.
    changes = sum(
        1
        for kind, before in zip(kinds[1:], kinds, strict=False)
        if kind != before and "other" not in (kind, before)
    )
    signs = len(kinds) - kinds.count("other")
    return changes >= MIN_CHANGES * signs and len(set(text)) >= 8


def _kind(sign: str) -> str:
    if sign.isdigit():
        return "digit"
    if not sign.isalpha():
        return "other"
    return "capital" if sign.isupper() else "small"
