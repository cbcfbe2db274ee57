-- Integer pico-USD (1e-12 USD) to dollars, exactly: Decimal(38, 12), no float on the way.
--
--   SELECT usd_from_pico(sum(cost_pico_usd)) FROM windows_1d
--
-- NULL stays NULL. Add up first, convert once: it is cheaper, and just as exact.

CREATE OR REPLACE FUNCTION usd_from_pico ${on_cluster} AS (pico) ->
    toDecimal128(pico, 0) * toDecimal128('0.000000000001', 12);
