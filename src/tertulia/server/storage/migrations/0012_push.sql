-- What devices are told, and what became of it.
CREATE TABLE push_notices (
    sid TEXT PRIMARY KEY,
    account_sid TEXT NOT NULL,
    service_sid TEXT NOT NULL,
    kind TEXT NOT NULL,
    conversation_sid TEXT,
    subject_sid TEXT NOT NULL,
    why_nobody TEXT,
    created_at BIGINT NOT NULL
);
CREATE INDEX push_notices_subject ON push_notices (subject_sid, sid);
CREATE INDEX push_notices_created ON push_notices (created_at, sid);

-- The devices of a notice lie together.
-- only: sqlite
CREATE TABLE push_deliveries (
    notice_sid TEXT NOT NULL,
    registration_sid TEXT NOT NULL,
    identity TEXT NOT NULL,
    kind TEXT NOT NULL,
    credential_sid TEXT,
    shows_badge BOOLEAN NOT NULL,
    state TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    answer TEXT,
    at BIGINT NOT NULL,
    PRIMARY KEY (notice_sid, registration_sid)
) WITHOUT ROWID;
-- end
-- only: postgres
CREATE TABLE push_deliveries (
    notice_sid TEXT NOT NULL,
    registration_sid TEXT NOT NULL,
    identity TEXT NOT NULL,
    kind TEXT NOT NULL,
    credential_sid TEXT,
    shows_badge BOOLEAN NOT NULL,
    state TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    answer TEXT,
    at BIGINT NOT NULL,
    PRIMARY KEY (notice_sid, registration_sid)
);
-- end
