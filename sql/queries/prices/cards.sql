-- The card table of one price version, each row once, in the order that decides.
SELECT
    price_version, position, entry, kind, provider, model, match, tenant, card, valid_from_us,
    valid_to_us, daily_from_us, daily_to_us, context, unit, above_input_tokens, rate_pico_usd,
    minimums, multiplier, fallbacks, source_line, reason
FROM ${database}.price_cards
WHERE price_version = {price_version:String}
ORDER BY position
LIMIT 1 BY position
