"""Every setting of the pipeline: declared, loaded, explained."""

from tokentide_jobs.settings.loading import Setting, Settings, redact_url

__all__ = ["Setting", "Settings", "redact_url"]
