#!/bin/bash
# Start ClickHouse with one account, `tokentide`, which may manage others. The server is given the
# hash of its password, so that the password may hold any character.
set -euo pipefail
password=$(cat /run/secrets/clickhouse_admin)
hash=$(printf '%s' "$password" | sha256sum | cut -d ' ' -f 1)
cat > /etc/clickhouse-server/users.d/tokentide.xml <<XML
<clickhouse>
  <users>
    <default remove="remove"/>
    <tokentide>
      <password_sha256_hex>$hash</password_sha256_hex>
      <networks><ip>::/0</ip></networks>
      <profile>default</profile>
      <quota>default</quota>
      <access_management>1</access_management>
    </tokentide>
  </users>
</clickhouse>
XML
exec /entrypoint.sh
