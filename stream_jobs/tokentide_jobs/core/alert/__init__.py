"""Who is notified of findings: one lifecycle of alerts, with silences, incidents and storms."""
