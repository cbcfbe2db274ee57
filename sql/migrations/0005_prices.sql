-- Prices: every card that ever priced a row, so that any cost can be traced and computed again.

-- Grain: one rate (a unit of a card, or a long-context tier of it); a row with an empty unit stands for
-- what has no rate. Key: price_version, position.
-- Written by: ingest workers and `tokentide reprice`, the whole table of a version at once before
-- its first use (token `price_cards/<price_version>`); never changed afterwards.
-- To read: `kind` is provider (names of a price list), standard (list price; the last active card
-- of an entry applies), variant (a tier; the first active one whose context holds applies, unit by unit) or
-- override (the overrides file). 1 USD per million tokens = 1,000,000 pico-USD per token.
-- Retention: for ever (some 10,000 rows a version).
CREATE TABLE IF NOT EXISTS ${database}.price_cards ${on_cluster}
(
    price_version      LowCardinality(String) COMMENT 'Release of the price list and hash of overrides and compiler',
    position           UInt32 COMMENT 'Order within the version; it decides which card applies',
    entry              UInt32 COMMENT 'Rows of one provider, model or override belong together',
    kind               LowCardinality(String) COMMENT 'provider, standard, variant, override',
    provider           LowCardinality(String) COMMENT 'Id of the price list, or pattern of an override',
    model              String COMMENT 'Id in the price list, or pattern of an override',
    match              String COMMENT 'Clause (JSON) that names of the model or provider satisfy',
    tenant             LowCardinality(String) COMMENT 'Overrides: one tenant or *',
    card               UInt32 COMMENT 'Number of the card within its entry and kind',
    valid_from_us      Nullable(Int64) COMMENT 'Inclusive (epoch µs); NULL: since ever',
    valid_to_us        Nullable(Int64) COMMENT 'Exclusive (epoch µs); NULL: for ever; list prices end where the next begins',
    daily_from_us      Nullable(Int64) COMMENT 'Prices by time of day: start, µs of the UTC day',
    daily_to_us        Nullable(Int64) COMMENT 'Exclusive',
    context            String COMMENT 'Conditions of service as JSON pairs: [["processing","batch"]]',
    unit               LowCardinality(String) COMMENT 'input_tokens, cache_read_tokens, web_searches, …',
    above_input_tokens Nullable(Int64) COMMENT 'Tier: applies to the whole call when it has more input tokens',
    rate_pico_usd      Nullable(Int64) COMMENT 'Pico-USD per unit',
    minimums           String COMMENT 'Least amounts billed per call, JSON pairs of unit and amount',
    multiplier         String COMMENT 'Overrides: factor on the price below, decimal',
    fallbacks          String COMMENT 'Providers: other lists that hold too, JSON',
    source_line        UInt32 COMMENT 'Overrides: line in the file',
    reason             String COMMENT 'Overrides: why',
    valid_from         Nullable(DateTime64(6, 'UTC')) ALIAS fromUnixTimestamp64Micro(valid_from_us, 'UTC'),
    valid_to           Nullable(DateTime64(6, 'UTC')) ALIAS fromUnixTimestamp64Micro(valid_to_us, 'UTC'),
    usd_per_million    Nullable(Decimal(38, 6)) ALIAS toDecimal128(rate_pico_usd, 6) / 1000000
)
ENGINE = ${engine:MergeTree}
ORDER BY (price_version, position)
SETTINGS ${dedup}
COMMENT 'Rates of every price version ever used, integer pico-USD per unit. Kept for ever.';

-- Grain: one price version. Key: price_version.
-- Written by: whoever wrote its cards, after them: a version listed here is complete
-- (token `price_versions/<price_version>`).
-- Retention: for ever.
CREATE TABLE IF NOT EXISTS ${database}.price_versions ${on_cluster}
(
    price_version LowCardinality(String),
    cards         UInt32 COMMENT 'Rows in price_cards',
    models        UInt32,
    overrides     UInt32 COMMENT 'Entries of the overrides file',
    worker        LowCardinality(String) COMMENT 'host:pid that first used it',
    written_at    DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
)
ENGINE = ${engine:MergeTree}
ORDER BY price_version
SETTINGS ${dedup}
COMMENT 'Price versions whose cards are complete in price_cards. Kept for ever.';
