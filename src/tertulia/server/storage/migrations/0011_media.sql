-- Files that people send. Their bytes are among the blobs.

CREATE TABLE media (
    sid TEXT PRIMARY KEY,
    account_sid TEXT NOT NULL,
    service_sid TEXT NOT NULL,
    author TEXT NOT NULL,
    category TEXT NOT NULL,
    filename TEXT,
    content_type TEXT NOT NULL,
    size BIGINT NOT NULL,
    sha256 TEXT NOT NULL,
    blob TEXT,
    inline TEXT,
    conversation_sid TEXT,
    message_sid TEXT,
    quarantined_at BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX media_message ON media (message_sid) WHERE message_sid IS NOT NULL;
CREATE INDEX media_conversation ON media (conversation_sid, sid) WHERE conversation_sid IS NOT NULL;
CREATE INDEX media_orphans ON media (created_at) WHERE message_sid IS NULL AND quarantined_at IS NULL;
CREATE INDEX media_quarantined ON media (quarantined_at) WHERE quarantined_at IS NOT NULL;
CREATE INDEX media_service ON media (service_sid, sid);
CREATE UNIQUE INDEX media_blob ON media (blob) WHERE blob IS NOT NULL;

-- What each service has of them.
CREATE TABLE media_usage (
    service_sid TEXT PRIMARY KEY,
    files BIGINT NOT NULL,
    size BIGINT NOT NULL
);

-- Its parts as JSON, and the template it was made from.
ALTER TABLE messages ADD COLUMN media TEXT;
ALTER TABLE messages ADD COLUMN content_sid TEXT;
