#!/bin/bash
# Create the accounts of the workers, of Grafana and of people, with the roles that
# `tokentide migrate --roles` has made; run again, it gives them the passwords in the files.
set -euo pipefail
CLICKHOUSE_PASSWORD=$(cat /run/secrets/clickhouse_admin)
export CLICKHOUSE_PASSWORD
for account in ingest grafana analyst; do
    password=$(cat "/run/secrets/clickhouse_$account")
    hash=$(printf '%s' "$password" | sha256sum | cut -d ' ' -f 1)
    echo "CREATE USER OR REPLACE $account IDENTIFIED WITH sha256_hash BY '$hash';"
    echo "GRANT tokentide_$account TO $account;"
    echo "SET DEFAULT ROLE tokentide_$account TO $account;"
done | clickhouse-client --host clickhouse --user tokentide --multiquery
clickhouse-client --host clickhouse --user tokentide --query "
    INSERT INTO tokentide.tenant_access (user_name, tenant)
    SELECT 'analyst', '*' WHERE NOT EXISTS (SELECT 1 FROM tokentide.tenant_access WHERE user_name = 'analyst')"
