-- Drop a lookup table.
DROP TABLE IF EXISTS ${database}.${lookup} SYNC
