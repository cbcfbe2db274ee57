-- What the columns of a price mean, since there are more words for one that is not exact, our own
-- entries over the price list, and aliases of model names.

ALTER TABLE ${database}.raw_requests ${on_cluster}
    COMMENT COLUMN IF EXISTS price_status 'How sure the cost is: unpriced, fallback_tier, partial, resold, fallback_region, alias, undated, override, exact; the first that holds';

ALTER TABLE ${database}.raw_requests ${on_cluster}
    COMMENT COLUMN IF EXISTS price_rule 'The card that gave the price; what stands behind ! keeps it from being exact';

ALTER TABLE ${database}.price_cards ${on_cluster}
    COMMENT COLUMN IF EXISTS kind 'provider, standard, variant, override, alias, correction';
