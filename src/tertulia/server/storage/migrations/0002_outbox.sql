-- What is owed to the outside world (architecture 7). Unfinished is what is waiting or leased.
-- Of the unfinished jobs of one ordering key the oldest is its head, and the others are behind it.

-- only: sqlite
CREATE TABLE outbox (
    -- A number is never given again, so that a late attempt at a job that is gone cannot be taken for one at another.
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    ordering_key TEXT,
    key TEXT,
    receiver TEXT,
    payload TEXT NOT NULL,
    token TEXT NOT NULL,
    account_sid TEXT,
    trace TEXT,
    promised_at BIGINT NOT NULL,
    due_at BIGINT NOT NULL,
    state TEXT NOT NULL,
    behind BOOLEAN NOT NULL,
    attempts BIGINT NOT NULL,
    -- Of them, those that earlier steps of the job took.
    earlier_attempts BIGINT NOT NULL DEFAULT 0,
    leased_by TEXT,
    leased_until BIGINT,
    last_error TEXT,
    ended_at BIGINT
);
-- end
-- only: postgres
CREATE TABLE outbox (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind TEXT NOT NULL,
    ordering_key TEXT,
    key TEXT,
    receiver TEXT,
    payload TEXT NOT NULL,
    token TEXT NOT NULL,
    account_sid TEXT,
    trace TEXT,
    promised_at BIGINT NOT NULL,
    due_at BIGINT NOT NULL,
    state TEXT NOT NULL,
    behind BOOLEAN NOT NULL,
    attempts BIGINT NOT NULL,
    -- Of them, those that earlier steps of the job took.
    earlier_attempts BIGINT NOT NULL DEFAULT 0,
    leased_by TEXT,
    leased_until BIGINT,
    last_error TEXT,
    ended_at BIGINT
);
-- end

-- What may be leased. Jobs that are behind others are not in it, so a long queue behind a receiver that is down costs
-- nothing to those who look for work. Kind and receiver are in it so that those passed over cost no look at the row.
CREATE INDEX outbox_due ON outbox (due_at, id, kind, receiver) WHERE state = 'waiting' AND NOT behind;
CREATE UNIQUE INDEX outbox_head ON outbox (ordering_key)
    WHERE ordering_key IS NOT NULL AND NOT behind AND state IN ('waiting', 'leased');
CREATE INDEX outbox_behind ON outbox (ordering_key, id, kind) WHERE behind;
CREATE UNIQUE INDEX outbox_key ON outbox (key) WHERE key IS NOT NULL AND state = 'waiting';
CREATE INDEX outbox_lease ON outbox (leased_until, id) WHERE state = 'leased';
CREATE INDEX outbox_ended ON outbox (state, ended_at, id) WHERE ended_at IS NOT NULL;
