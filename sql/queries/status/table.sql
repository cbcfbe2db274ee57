-- Nothing, from a table that is there; an error shows that it is gone, or that it may not be read.
SELECT 1 AS found
FROM ${database}.{table:Identifier}
LIMIT 0
