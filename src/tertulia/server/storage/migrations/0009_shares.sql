-- Accounts share the workers: what is passed over because its account has its share costs no look at the row.
DROP INDEX outbox_due;
CREATE INDEX outbox_due ON outbox (due_at, id, kind, receiver, account_sid) WHERE state = 'waiting' AND NOT behind;
