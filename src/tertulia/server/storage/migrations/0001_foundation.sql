-- Accounts, services, people, conversations and messages.
-- Times are UTC microseconds; *_event columns are numbers of Sync objects (see docs/tour.md).

CREATE TABLE accounts (
    sid TEXT PRIMARY KEY,
    friendly_name TEXT NOT NULL,
    auth_token TEXT NOT NULL,
    default_service_sid TEXT NOT NULL,
    default_messaging_service_sid TEXT,
    default_inactive_timer TEXT,
    default_closed_timer TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE api_keys (
    sid TEXT PRIMARY KEY,
    account_sid TEXT NOT NULL,
    friendly_name TEXT NOT NULL,
    secret TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    revoked_at BIGINT
);
CREATE INDEX api_keys_account ON api_keys (account_sid, sid);

CREATE TABLE services (
    sid TEXT PRIMARY KEY,
    account_sid TEXT NOT NULL,
    friendly_name TEXT NOT NULL,
    default_user_role_sid TEXT NOT NULL,
    default_participant_role_sid TEXT NOT NULL,
    default_creator_role_sid TEXT NOT NULL,
    reachability_enabled BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX services_account ON services (account_sid, sid);

CREATE TABLE roles (
    sid TEXT PRIMARY KEY,
    account_sid TEXT NOT NULL,
    service_sid TEXT NOT NULL,
    friendly_name TEXT NOT NULL,
    kind TEXT NOT NULL,
    permissions TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX roles_service ON roles (service_sid, sid);

CREATE TABLE users (
    sid TEXT PRIMARY KEY,
    account_sid TEXT NOT NULL,
    service_sid TEXT NOT NULL,
    identity TEXT NOT NULL,
    friendly_name TEXT,
    attributes TEXT NOT NULL,
    role_sid TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    conversations_event BIGINT NOT NULL,
    info_event BIGINT NOT NULL,
    friendly_name_event BIGINT NOT NULL,
    attributes_event BIGINT NOT NULL,
    reachability_event BIGINT NOT NULL
);
CREATE UNIQUE INDEX users_identity ON users (service_sid, identity);
CREATE INDEX users_service ON users (service_sid, sid);
CREATE INDEX users_role ON users (role_sid);

CREATE TABLE conversations (
    sid TEXT PRIMARY KEY,
    account_sid TEXT NOT NULL,
    service_sid TEXT NOT NULL,
    messaging_service_sid TEXT,
    friendly_name TEXT,
    unique_name TEXT,
    attributes TEXT NOT NULL,
    state TEXT NOT NULL,
    state_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    creator_joined_at BIGINT,
    email_address TEXT,
    email_name TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    inactive_after_s BIGINT,
    closed_after_s BIGINT,
    inactive_at BIGINT,
    closed_at BIGINT,
    last_index BIGINT NOT NULL,
    newest_index BIGINT,
    newest_at BIGINT,
    message_count BIGINT NOT NULL,
    participant_count BIGINT NOT NULL,
    group_key TEXT,
    document_event BIGINT NOT NULL,
    messages_event BIGINT NOT NULL,
    roster_event BIGINT NOT NULL
);
CREATE UNIQUE INDEX conversations_unique_name ON conversations (service_sid, unique_name) WHERE unique_name IS NOT NULL;
CREATE UNIQUE INDEX conversations_group ON conversations (account_sid, group_key) WHERE group_key IS NOT NULL;
CREATE INDEX conversations_service ON conversations (service_sid, sid);
CREATE INDEX conversations_created ON conversations (service_sid, created_at, sid);

CREATE TABLE participants (
    sid TEXT PRIMARY KEY,
    account_sid TEXT NOT NULL,
    service_sid TEXT NOT NULL,
    conversation_sid TEXT NOT NULL,
    identity TEXT,
    user_sid TEXT,
    role_sid TEXT,
    attributes TEXT NOT NULL,
    address TEXT,
    proxy_address TEXT,
    projected_address TEXT,
    email_name TEXT,
    email_level TEXT,
    holds_pair BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    last_read_index BIGINT,
    last_read_at BIGINT,
    notification_level TEXT NOT NULL,
    roster_created BIGINT NOT NULL,
    roster_event BIGINT NOT NULL,
    listed_created BIGINT,
    listed_event BIGINT
);
CREATE UNIQUE INDEX participants_identity ON participants (conversation_sid, identity) WHERE identity IS NOT NULL;
CREATE UNIQUE INDEX participants_pair ON participants (account_sid, address, proxy_address) WHERE holds_pair = 1;
CREATE INDEX participants_conversation ON participants (conversation_sid, sid);
CREATE INDEX participants_roster ON participants (conversation_sid, roster_event);
CREATE INDEX participants_user ON participants (user_sid, conversation_sid);
CREATE INDEX participants_listed ON participants (user_sid, listed_event) WHERE listed_event IS NOT NULL;
CREATE INDEX participants_address ON participants (service_sid, address, sid) WHERE address IS NOT NULL;
CREATE INDEX participants_projected ON participants (service_sid, projected_address, sid) WHERE projected_address IS NOT NULL;
CREATE INDEX participants_role ON participants (role_sid) WHERE role_sid IS NOT NULL;
CREATE INDEX participants_service ON participants (service_sid);

-- A conversation's messages lie together, in order: a page of history is one run of the tree.
-- only: sqlite
CREATE TABLE messages (
    conversation_sid TEXT NOT NULL,
    "index" BIGINT NOT NULL,
    sid TEXT NOT NULL,
    account_sid TEXT NOT NULL,
    service_sid TEXT NOT NULL,
    author TEXT NOT NULL,
    participant_sid TEXT,
    body TEXT,
    subject TEXT,
    attributes TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    last_updated_by TEXT,
    created_event BIGINT NOT NULL,
    event BIGINT NOT NULL,
    PRIMARY KEY (conversation_sid, "index")
) WITHOUT ROWID;
-- end
-- only: postgres
CREATE TABLE messages (
    conversation_sid TEXT NOT NULL,
    "index" BIGINT NOT NULL,
    sid TEXT NOT NULL,
    account_sid TEXT NOT NULL,
    service_sid TEXT NOT NULL,
    author TEXT NOT NULL,
    participant_sid TEXT,
    body TEXT,
    subject TEXT,
    attributes TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    last_updated_by TEXT,
    created_event BIGINT NOT NULL,
    event BIGINT NOT NULL,
    PRIMARY KEY (conversation_sid, "index")
);
-- end
CREATE UNIQUE INDEX messages_sid ON messages (sid);
CREATE INDEX messages_edited ON messages (conversation_sid, event) WHERE event > created_event;

CREATE TABLE tombstones (
    object_sid TEXT NOT NULL,
    event BIGINT NOT NULL,
    item_key TEXT NOT NULL,
    created_event BIGINT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (object_sid, event)
);
CREATE INDEX tombstones_at ON tombstones (at);

CREATE TABLE mutations (
    caller TEXT NOT NULL,
    id TEXT NOT NULL,
    command TEXT NOT NULL,
    answer TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (caller, id)
);
CREATE INDEX mutations_at ON mutations (at);

CREATE TABLE push_registrations (
    sid TEXT PRIMARY KEY,
    account_sid TEXT NOT NULL,
    service_sid TEXT NOT NULL,
    identity TEXT NOT NULL,
    kind TEXT NOT NULL,
    address TEXT NOT NULL,
    endpoint TEXT,
    credential_sid TEXT,
    message_types TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX push_registrations_device ON push_registrations (service_sid, kind, address);
CREATE INDEX push_registrations_identity ON push_registrations (service_sid, identity, updated_at);
