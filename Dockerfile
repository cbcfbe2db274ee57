# Two images of one file: `pipeline`, every command of tokentide, and `grafana`, Grafana with the
# ClickHouse plugin inside, so that a start needs nothing from the internet.

FROM python:3.13-slim AS build
WORKDIR /src
RUN python -m venv /opt/tokentide
# What is installed, and nothing else of the checkout.
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY schemas ./schemas
COPY producers ./producers
COPY stream_jobs ./stream_jobs
COPY dashboards ./dashboards
COPY sql ./sql
RUN /opt/tokentide/bin/pip install --no-cache-dir --constraint constraints.txt '.[pipeline]'

FROM python:3.13-slim AS pipeline
COPY --from=build /opt/tokentide /opt/tokentide
ENV PATH=/opt/tokentide/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# A number, since Kubernetes cannot see whether a name is root.
USER 10001:10001
WORKDIR /
CMD ["tokentide", "--help"]

FROM grafana/grafana:13.2.0 AS grafana
USER root
# To where no volume hides it; /var/lib/grafana is one.
RUN grafana cli --pluginsDir /usr/share/grafana/tokentide-plugins plugins install grafana-clickhouse-datasource 4.20.0
USER 472
ENV GF_PATHS_PLUGINS=/usr/share/grafana/tokentide-plugins
