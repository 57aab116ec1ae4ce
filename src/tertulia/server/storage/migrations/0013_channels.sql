-- What goes out to channels, and what comes in from them.

CREATE TABLE gateways (
    sid TEXT PRIMARY KEY,
    account_sid TEXT NOT NULL,
    name TEXT NOT NULL,
    adapter TEXT NOT NULL,
    -- Sealed: a JSON object.
    settings TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX gateways_name ON gateways (account_sid, name);

-- Our addresses. An account that has none talks to the phones of the simulator.
CREATE TABLE senders (
    account_sid TEXT NOT NULL,
    address TEXT NOT NULL,
    kind TEXT NOT NULL,
    gateway_sid TEXT NOT NULL,
    -- Senders of one pool share who has opted out.
    pool TEXT,
    -- Messages a minute; null is what its kind of number may send.
    per_minute BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (account_sid, address)
);
CREATE INDEX senders_gateway ON senders (gateway_sid);

CREATE TABLE channel_messages (
    sid TEXT PRIMARY KEY,
    account_sid TEXT NOT NULL,
    service_sid TEXT,
    -- Null, as the next three, of what is no message of a conversation: an answer to a keyword.
    conversation_sid TEXT,
    message_sid TEXT,
    -- Null also of a group's.
    participant_sid TEXT,
    message_index BIGINT,
    kind TEXT NOT NULL,
    sender TEXT NOT NULL,
    -- JSON: a list.
    recipients TEXT NOT NULL,
    gateway_sid TEXT,
    state TEXT NOT NULL,
    segments BIGINT,
    error_code BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    sent_at BIGINT,
    valid_until BIGINT NOT NULL,
    -- Of an answer to STOP, START or HELP: to which.
    keyword TEXT
);
CREATE INDEX channel_messages_message ON channel_messages (message_sid) WHERE message_sid IS NOT NULL;
CREATE INDEX channel_messages_conversation ON channel_messages (conversation_sid) WHERE conversation_sid IS NOT NULL;
CREATE INDEX channel_messages_sent ON channel_messages (account_sid, sender, recipients, sent_at);
CREATE INDEX channel_messages_answers ON channel_messages (account_sid, sender, created_at) WHERE keyword IS NOT NULL;
CREATE INDEX channel_messages_created ON channel_messages (created_at);

-- What gateways call our messages, a row for each part; for a minute also what nobody knows that they report of.
CREATE TABLE handles (
    gateway_sid TEXT NOT NULL,
    handle TEXT NOT NULL,
    -- Empty: it was reported, and nobody knows of what.
    channel_message_sid TEXT NOT NULL,
    part BIGINT NOT NULL,
    status TEXT NOT NULL,
    error_code BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (gateway_sid, handle)
);
CREATE INDEX handles_message ON handles (channel_message_sid);
CREATE INDEX handles_unknown ON handles (created_at) WHERE channel_message_sid = '';

-- Reports that came before we knew what their handle is about.
CREATE TABLE early_reports (
    gateway_sid TEXT NOT NULL,
    handle TEXT NOT NULL,
    -- Its other spelling, under which it is kept as well; empty: there is none.
    alias TEXT NOT NULL,
    recipient TEXT NOT NULL,
    status TEXT NOT NULL,
    error_code BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (gateway_sid, handle, alias, recipient, status)
);
CREATE INDEX early_reports_created ON early_reports (created_at);

-- What came in, known for a week so that a repeat is recognised; its content only until it is in its conversation.
CREATE TABLE arrivals (
    sid TEXT PRIMARY KEY,
    account_sid TEXT NOT NULL,
    gateway_sid TEXT NOT NULL,
    provider_id TEXT NOT NULL,
    sender TEXT NOT NULL,
    recipient TEXT NOT NULL,
    content TEXT,
    -- Of a group message: whom it reached, sorted, and a digest of what it says.
    group_key TEXT,
    digest TEXT,
    state TEXT NOT NULL,
    why TEXT,
    conversation_sid TEXT,
    message_sid TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX arrivals_provider ON arrivals (gateway_sid, provider_id);
CREATE INDEX arrivals_group ON arrivals (account_sid, group_key, created_at) WHERE group_key IS NOT NULL;
CREATE INDEX arrivals_created ON arrivals (created_at);
CREATE INDEX arrivals_message ON arrivals (message_sid) WHERE message_sid IS NOT NULL;

-- Who does not want to hear from a number of ours, or from a pool of them.
CREATE TABLE opt_outs (
    account_sid TEXT NOT NULL,
    pool TEXT NOT NULL,
    address TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (account_sid, pool, address)
);

-- When somebody last wrote to an address of ours.
CREATE TABLE last_heard (
    account_sid TEXT NOT NULL,
    sender TEXT NOT NULL,
    address TEXT NOT NULL,
    heard_at BIGINT NOT NULL,
    PRIMARY KEY (account_sid, sender, address)
);
CREATE INDEX last_heard_at ON last_heard (heard_at);

-- Participants who have an address: where there are none, a message costs nothing on channels.
ALTER TABLE conversations ADD COLUMN bound_count BIGINT NOT NULL DEFAULT 0;
UPDATE conversations SET bound_count = (
    SELECT count(*) FROM participants
    WHERE participants.conversation_sid = conversations.sid AND participants.address IS NOT NULL
);

-- Word for word the condition by which they are looked for when a message goes out.
CREATE INDEX participants_bound ON participants (conversation_sid, sid)
    WHERE (address IS NOT NULL OR projected_address IS NOT NULL);

-- What a template's placeholders stand for: WhatsApp fills them in itself.
ALTER TABLE messages ADD COLUMN content_variables TEXT;
CREATE INDEX receipts_channel_message ON receipts (channel_message_sid) WHERE channel_message_sid IS NOT NULL;

-- A mailbox has one spelling, in lower case. Of two open conversations that then have the same pair, the older keeps it;
-- of two configurations the second stays as it is, and can be looked up by its SID.
UPDATE participants SET holds_pair = NULL
WHERE holds_pair = 1 AND address LIKE '%@%' AND address NOT LIKE '%:%' AND EXISTS (
    SELECT 1 FROM participants AS older
    WHERE older.account_sid = participants.account_sid AND older.holds_pair = 1 AND older.sid < participants.sid
        AND lower(older.address) = lower(participants.address)
        AND lower(older.proxy_address) = lower(participants.proxy_address)
);
UPDATE participants SET
    address = CASE WHEN address LIKE '%:%' THEN address ELSE lower(address) END,
    proxy_address = CASE WHEN proxy_address LIKE '%:%' THEN proxy_address ELSE lower(proxy_address) END,
    projected_address = CASE WHEN projected_address LIKE '%:%' THEN projected_address ELSE lower(projected_address) END
WHERE address LIKE '%@%' OR projected_address LIKE '%@%';
UPDATE conversations SET email_address = lower(email_address) WHERE email_address IS NOT NULL;
UPDATE address_configurations SET address = lower(address)
WHERE address LIKE '%@%' AND address NOT LIKE '%:%' AND NOT EXISTS (
    SELECT 1 FROM address_configurations AS other
    WHERE other.account_sid = address_configurations.account_sid AND other.sid <> address_configurations.sid
        AND lower(other.address) = lower(address_configurations.address)
);
