"""What can be set for a producer: declared, read from the environment, checked, explained."""

from tokentide.settings.loading import Settings
from tokentide.settings.values import SettingsError

__all__ = ["Settings", "SettingsError"]
