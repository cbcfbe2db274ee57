"""What keeps people out of the telemetry: hashed user ids, the redact hook, detectors.

Nothing here is imported by `import tokentide`; each part is loaded when a setting asks for it.
"""

from tokentide.privacy.detection import detect
from tokentide.privacy.users import hash_under, hash_user, hash_user_under_every_key

__all__ = ["detect", "hash_under", "hash_user", "hash_user_under_every_key"]
