"""The region that a provider's host name holds, which stands before the region of the event.

Clouds and providers with data residency put the place into the address, and the place moves the
price; what an event says beside it may be where its caller runs. Each distinct address of a batch
is read once.
"""

from __future__ import annotations

import re

import polars as pl

__all__ = ["region_of_host", "regions"]

_HOSTS = re.compile(
    r"bedrock[a-z-]*\.(?P<aws>[a-z]{2}(?:-[a-z]+)+-\d)\.(?:amazonaws\.com|api\.aws)"
    r"|(?P<vertex>[a-z]+-[a-z]+\d+)-aiplatform\.googleapis\.com"
    r"|aiplatform\.(?P<multi>[a-z]{2})\.rep\.googleapis\.com"
    r"|(?P<openai>[a-z]{2})\.api\.openai\.com"
    r"|(?P<xai>[a-z]{2})\.api\.x\.ai"
)
_GLOBAL_HOST = "aiplatform.googleapis.com"


def region_of_host(host: str) -> str:
    """Return the place in a host name: `eu-west-1`, `us`, `global`; empty where it says none."""
    host = host.strip().lower()
    if host == _GLOBAL_HOST:
        return "global"
    found = _HOSTS.fullmatch(host)
    return next(filter(None, found.groups())) if found else ""


def regions(requests: pl.DataFrame) -> pl.Series:
    """Return the region of every call: as its host names it, else as reported, else ""."""
    nothing = pl.repeat("", len(requests), eager=True)
    known = requests["region"].fill_null("") if "region" in requests.columns else nothing
    if "server_address" not in requests.columns:
        return known
    hosts = requests["server_address"].fill_null("")
    distinct = hosts.unique()
    by_host = {host: region_of_host(host) for host in distinct.to_list()}
    if not any(by_host.values()):
        return known
    read = hosts.replace_strict(list(by_host), list(by_host.values()), return_dtype=pl.String)
    return read.zip_with(read != "", known)
