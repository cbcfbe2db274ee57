"""Alert rules of Grafana, whom they notify, and their runbooks, as code that becomes files."""
