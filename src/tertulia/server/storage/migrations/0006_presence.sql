-- Who is connected where, and what of it users are shown (semantics 6.3).

-- A running server; one row renewed now and then stands for all its connections.
CREATE TABLE nodes (
    id TEXT PRIMARY KEY,
    alive_until BIGINT NOT NULL
);
CREATE INDEX nodes_alive ON nodes (alive_until);

-- Only for services with reachability; one row however many connections.
CREATE TABLE presences (
    service_sid TEXT NOT NULL,
    identity TEXT NOT NULL,
    node TEXT NOT NULL,
    PRIMARY KEY (service_sid, identity, node)
);
CREATE INDEX presences_node ON presences (node, service_sid, identity);

-- NULL: never yet, or reachability is off.
ALTER TABLE users ADD COLUMN is_online BOOLEAN;
ALTER TABLE users ADD COLUMN is_notifiable BOOLEAN;
ALTER TABLE users ADD COLUMN reachability_created BIGINT;
CREATE INDEX users_reachability ON users (service_sid, sid) WHERE is_online IS NOT NULL OR is_notifiable IS NOT NULL;

-- Services whose users still have to follow what was chosen for them.
CREATE TABLE reachability_turns (
    service_sid TEXT PRIMARY KEY,
    account_sid TEXT NOT NULL,
    reached TEXT NOT NULL
);
INSERT INTO reachability_turns (service_sid, account_sid, reached)
SELECT sid, account_sid, '' FROM services WHERE reachability_enabled;
CREATE INDEX services_reachability ON services (sid) WHERE reachability_enabled;
