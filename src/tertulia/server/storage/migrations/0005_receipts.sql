-- How far messages have come on channels.

CREATE TABLE receipts (
    sid TEXT PRIMARY KEY,
    account_sid TEXT NOT NULL,
    service_sid TEXT NOT NULL,
    conversation_sid TEXT NOT NULL,
    message_sid TEXT NOT NULL,
    participant_sid TEXT NOT NULL,
    channel_message_sid TEXT,
    status TEXT NOT NULL,
    passed TEXT NOT NULL,
    error_code BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX receipts_participant ON receipts (message_sid, participant_sid);
CREATE INDEX receipts_conversation ON receipts (conversation_sid);

-- What the receipts of a message come to, so that a page of history asks for none of them.
ALTER TABLE messages ADD COLUMN delivery TEXT;
