-- Push credentials, address configurations, notification settings of services; owners and use of push registrations.

CREATE TABLE credentials (
    sid TEXT PRIMARY KEY,
    account_sid TEXT NOT NULL,
    kind TEXT NOT NULL,
    friendly_name TEXT,
    sandbox BOOLEAN NOT NULL,
    sealed TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX credentials_account ON credentials (account_sid, sid);

CREATE TABLE address_configurations (
    sid TEXT PRIMARY KEY,
    account_sid TEXT NOT NULL,
    kind TEXT NOT NULL,
    address TEXT NOT NULL,
    friendly_name TEXT,
    address_country TEXT,
    auto_enabled BOOLEAN NOT NULL,
    auto_kind TEXT NOT NULL,
    auto_service_sid TEXT,
    webhook_url TEXT,
    webhook_method TEXT,
    webhook_filters TEXT,
    flow_sid TEXT,
    retry_count BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX address_configurations_address ON address_configurations (account_sid, address);
CREATE INDEX address_configurations_account ON address_configurations (account_sid, sid);
CREATE INDEX address_configurations_service ON address_configurations (auto_service_sid) WHERE auto_service_sid IS NOT NULL;

CREATE TABLE notification_settings (
    service_sid TEXT PRIMARY KEY,
    account_sid TEXT NOT NULL,
    log_enabled BOOLEAN NOT NULL,
    new_message_enabled BOOLEAN NOT NULL,
    new_message_template TEXT NOT NULL,
    new_message_sound TEXT NOT NULL,
    badge_count_enabled BOOLEAN NOT NULL,
    media_enabled BOOLEAN NOT NULL,
    media_template TEXT NOT NULL,
    added_enabled BOOLEAN NOT NULL,
    added_template TEXT NOT NULL,
    added_sound TEXT NOT NULL,
    removed_enabled BOOLEAN NOT NULL,
    removed_template TEXT NOT NULL,
    removed_sound TEXT NOT NULL
);

-- A device may have several owners where the operator says so (push.single_owner).
DROP INDEX push_registrations_device;
CREATE UNIQUE INDEX push_registrations_device ON push_registrations (service_sid, kind, address, identity);
CREATE INDEX push_registrations_service ON push_registrations (service_sid, sid);

-- When a registration was last of use; after a year without, it goes.
ALTER TABLE push_registrations ADD COLUMN used_at BIGINT NOT NULL DEFAULT 0;
UPDATE push_registrations SET used_at = updated_at, message_types = replace(message_types, 'twilio.conversations.', '');
CREATE INDEX push_registrations_used ON push_registrations (used_at);
