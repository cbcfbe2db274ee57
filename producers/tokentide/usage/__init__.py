"""Token counts: their names here, and in the modules beside it the readers of provider answers.

One module per API format (`tokentide.usage.flavour`), loaded when first used. They and
`Recorder.record_usage` follow the same rules: totals are inclusive, every detail is part of its
total, absent means "not reported" and 0 "reported zero". What is read from which provider:
docs/providers.md, which is written from tests.
"""

from tokentide._contract import USAGE_FIELDS

__all__ = ["USAGE_FIELDS"]
