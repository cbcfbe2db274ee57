-- How many corrections of a table are written down that touch a time.
SELECT count() AS corrections
FROM ${database}.window_repairs
WHERE table = {table:String} AND from_us < {to_us:Int64} AND to_us > {from_us:Int64}
SETTINGS select_sequential_consistency = 1
