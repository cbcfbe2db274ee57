"""Nothing yet: Grafana dashboards as code will be here."""
