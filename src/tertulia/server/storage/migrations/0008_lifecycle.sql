-- Timers of conversations, what is left of deleted services, and how long things are kept.

-- Conversations whose timers run already: a job looks after each of them from now on.
INSERT INTO outbox (kind, ordering_key, key, payload, token, account_sid, promised_at, due_at, state, behind, attempts)
SELECT 'MoveOnConversation', 'timer/' || sid, 'timer/' || sid,
    '{"account_sid":"' || account_sid || '","conversation_sid":"' || sid || '"}',
    substr(sid, 3, 8) || '-' || substr(sid, 11, 4) || '-' || substr(sid, 15, 4) || '-' || substr(sid, 19, 4) || '-'
        || substr(sid, 23, 12),
    account_sid, state_at, coalesce(least_at, inactive_at, closed_at), 'waiting', FALSE, 0
FROM (SELECT sid, account_sid, state_at, inactive_at, closed_at,
        CASE WHEN inactive_at < closed_at THEN inactive_at WHEN closed_at <= inactive_at THEN closed_at END AS least_at
    FROM conversations WHERE inactive_at IS NOT NULL OR closed_at IS NOT NULL) AS pending;

-- What holds something that others may want goes first when a service is deleted.
CREATE INDEX participants_holding ON participants (service_sid) WHERE holds_pair = 1;
CREATE INDEX conversations_grouped ON conversations (service_sid) WHERE group_key IS NOT NULL;

-- How long a service keeps things; without a row, or where a column is NULL, as the installation says. 0 is for good.
CREATE TABLE retention (
    service_sid TEXT PRIMARY KEY,
    account_sid TEXT NOT NULL,
    messages_days BIGINT,
    closed_conversations_days BIGINT
);
CREATE INDEX conversations_closed ON conversations (service_sid, state_at) WHERE state = 'closed';
