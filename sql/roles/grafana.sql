-- Grafana's data source: read-only over all tenants. The plugin sets max_execution_time with every
-- query and fails where it may not, so that one setting stays changeable.

CREATE ROLE IF NOT EXISTS ${database}_grafana ${on_cluster};

GRANT ${on_cluster} SELECT, SHOW ON ${database}.* TO ${database}_grafana;
-- Sizes of tables on the board Pipeline health; of tables that it may not SHOW it sees none.
GRANT ${on_cluster} SELECT(database, table, partition, active, rows, bytes_on_disk) ON system.parts TO ${database}_grafana;

CREATE SETTINGS PROFILE OR REPLACE ${database}_grafana ${on_cluster} SETTINGS
    readonly = 1,
    max_execution_time = 30 MIN 0 MAX 300 CHANGEABLE_IN_READONLY,
    max_memory_usage = 4000000000,
    max_result_rows = 1000000
TO ${database}_grafana;
