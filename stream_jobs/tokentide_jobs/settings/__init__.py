"""Every setting of the pipeline: declared, loaded, explained."""

from tokentide_jobs.settings.loading import Setting, Settings

__all__ = ["Setting", "Settings"]
