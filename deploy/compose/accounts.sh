#!/bin/bash
# Create the accounts of the workers, of Grafana and of people, each with the role that
# `tokentide migrate --roles` has made. Run again, it gives an account that exists the password in its
# file and nothing else: what a person granted or took away meanwhile stays so.
set -euo pipefail
CLICKHOUSE_PASSWORD=$(cat /run/secrets/clickhouse_admin)
export CLICKHOUSE_PASSWORD
ask() { clickhouse-client --host clickhouse --user tokentide "$@"; }
existing=" $(ask --query "SELECT name FROM system.users" | tr '\n' ' ') "
for account in ingest grafana analyst; do
    password=$(cat "/run/secrets/clickhouse_$account")
    hash=$(printf '%s' "$password" | sha256sum | cut -d ' ' -f 1)
    if [[ $existing == *" $account "* ]]; then
        echo "ALTER USER $account IDENTIFIED WITH sha256_hash BY '$hash';"
        continue
    fi
    # It gets its name last: wherever this is stopped, the next run begins again.
    echo "CREATE USER OR REPLACE ${account}_new IDENTIFIED WITH sha256_hash BY '$hash';"
    echo "GRANT tokentide_$account TO ${account}_new;"
    echo "SET DEFAULT ROLE tokentide_$account TO ${account}_new;"
    if [ "$account" = analyst ]; then  # all tenants, until a person changes it
        echo "INSERT INTO tokentide.tenant_access (user_name, tenant)
            SELECT 'analyst', '*' WHERE NOT EXISTS (SELECT 1 FROM tokentide.tenant_access WHERE user_name = 'analyst');"
    fi
    echo "ALTER USER ${account}_new RENAME TO $account;"
done | ask --multiquery
