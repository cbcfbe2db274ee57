#!/bin/sh
# Write a random password for each account of docker-compose.yml, and the key of users.yaml; a file that
# exists is kept.
# Containers read the files as users of their own, so the files are readable and their directory is not.
set -eu
directory=${1:-${TOKENTIDE_SECRETS:-./secrets}}
mkdir -p "$directory"
chmod 700 "$directory"
for name in clickhouse_admin clickhouse_ingest clickhouse_grafana clickhouse_analyst grafana_admin user_hash_key; do
    file="$directory/$name"
    [ -s "$file" ] && continue
    od -An -N24 -tx1 /dev/urandom | tr -d ' \n' > "$file"
    chmod 644 "$file"
    echo "wrote $file"
done
