-- Free bytes of the roomiest local disk: an insert goes to any disk that has room, and object stores
-- are never full. No disk: 0 disks.
SELECT
    count() AS disks,
    max(free_space + keep_free_space) AS free_bytes,
    max(total_space) AS total_bytes
FROM system.disks
WHERE type = 'Local' AND NOT is_read_only
