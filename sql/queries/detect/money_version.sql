-- A version of the stored money: it changes whenever a repricing or a repair has changed rows.
SELECT
    concat(
        toString((SELECT count() FROM ${database}.reprice_chunks WHERE state >= 2)),
        '/',
        toString((SELECT count() FROM ${database}.window_repairs))
    ) AS version
