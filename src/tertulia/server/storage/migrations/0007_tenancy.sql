-- Several accounts in one installation: one can be suspended, with all its keys, tokens and connections.

ALTER TABLE accounts ADD COLUMN suspended_at BIGINT;
