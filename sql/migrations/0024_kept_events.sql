-- What a dead letter keeps: the fields of the contract, and of every other text the form alone (docs/privacy.md).

ALTER TABLE ${database}.dead_letters ${on_cluster}
    COMMENT COLUMN value 'What is kept of the event: texts that no row would keep are masked',
    MODIFY COMMENT 'Events that were refused: where they were, why, and what is kept of them. Kept 30 days.';
