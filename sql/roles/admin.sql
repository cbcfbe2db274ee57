-- For `tokentide migrate`, `tokentide reprice`, `tokentide void` and the grants: everything inside the
-- database, and the functions, which belong to the server.

CREATE ROLE IF NOT EXISTS ${database}_admin ${on_cluster};

GRANT ${on_cluster} ALL ON ${database}.* TO ${database}_admin WITH GRANT OPTION;

GRANT ${on_cluster} CREATE FUNCTION, DROP FUNCTION ON *.* TO ${database}_admin;

GRANT ${on_cluster} SELECT ON system.* TO ${database}_admin;
