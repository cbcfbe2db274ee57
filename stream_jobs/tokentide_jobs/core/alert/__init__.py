"""Who must know what of findings: one lifecycle of alerts, with silences, incidents and storms."""
