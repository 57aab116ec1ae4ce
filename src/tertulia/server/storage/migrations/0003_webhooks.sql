-- Whom we ask before something happens, and whom we tell after it.

CREATE TABLE hook_settings (
    owner_sid TEXT PRIMARY KEY,
    account_sid TEXT NOT NULL,
    pre_url TEXT,
    post_url TEXT,
    method TEXT,
    filters TEXT
);

CREATE TABLE scoped_webhooks (
    sid TEXT PRIMARY KEY,
    account_sid TEXT NOT NULL,
    service_sid TEXT NOT NULL,
    conversation_sid TEXT NOT NULL,
    target TEXT NOT NULL,
    url TEXT,
    method TEXT NOT NULL,
    filters TEXT NOT NULL,
    triggers TEXT NOT NULL,
    flow_sid TEXT,
    replay_after BIGINT,
    retry_count BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX scoped_webhooks_conversation ON scoped_webhooks (conversation_sid, sid);
CREATE INDEX scoped_webhooks_service ON scoped_webhooks (service_sid);

-- Who sends a message looks for webhooks of the conversation only where there are any.
ALTER TABLE conversations ADD COLUMN webhook_count BIGINT NOT NULL DEFAULT 0;
