-- Times are microseconds since 1970-01-01 UTC. JSON columns hold serde forms of tms-core types.
-- Sealed columns are unreadable without the host's vault key.

CREATE TABLE terminals (
    tid                TEXT    NOT NULL PRIMARY KEY,
    merchant           TEXT    NOT NULL,
    profile            TEXT    NOT NULL,
    model              TEXT    NOT NULL,
    hardware_revision  TEXT    NOT NULL,
    serial             TEXT    NOT NULL,
    enrolled_at        BIGINT  NOT NULL,
    sealing_public_key BLOB    NOT NULL,
    tmk_sealed         BLOB    NOT NULL,
    certificate_sha256 TEXT    UNIQUE,
    desired            TEXT    NOT NULL,
    reported           TEXT    NOT NULL
);

-- Apart from terminals, because it changes with every heartbeat and those rows are wide.
CREATE TABLE contacts (
    tid TEXT   NOT NULL PRIMARY KEY REFERENCES terminals (tid) ON DELETE CASCADE,
    at  BIGINT NOT NULL
);

CREATE TABLE operations (
    id             TEXT    NOT NULL PRIMARY KEY,
    tid            TEXT    NOT NULL REFERENCES terminals (tid) ON DELETE CASCADE,
    -- The order in which the terminal's operations were made durable.
    seq            BIGINT  NOT NULL,
    kind_name      TEXT    NOT NULL,
    kind           TEXT    NOT NULL,
    state          TEXT    NOT NULL,
    attempts       BIGINT  NOT NULL,
    created_at     BIGINT  NOT NULL,
    updated_at     BIGINT  NOT NULL,
    expires_at     BIGINT  NOT NULL,
    lease_holder   TEXT,
    lease_until    BIGINT,
    detail         TEXT,
    progress_done  BIGINT,
    progress_total BIGINT,
    UNIQUE (tid, seq)
);

CREATE INDEX operations_open ON operations (tid, seq)
    WHERE state IN ('queued', 'sent', 'accepted');
CREATE INDEX operations_open_expiry ON operations (expires_at)
    WHERE state IN ('queued', 'sent', 'accepted');
CREATE INDEX operations_leased ON operations (lease_holder)
    WHERE lease_holder IS NOT NULL;

CREATE TABLE credentials (
    tid                TEXT    NOT NULL REFERENCES terminals (tid) ON DELETE CASCADE,
    role               TEXT    NOT NULL,
    current_generation BIGINT,
    current_sealed     BLOB,
    current_since      BIGINT,
    pending_generation BIGINT,
    pending_sealed     BLOB,
    pending_phase      TEXT,
    pending_operation  TEXT,
    highest_generation BIGINT  NOT NULL,
    version            BIGINT  NOT NULL,
    PRIMARY KEY (tid, role)
);

CREATE TABLE firmware (
    id           TEXT   NOT NULL PRIMARY KEY,
    version      TEXT   NOT NULL,
    models       TEXT   NOT NULL,
    size_bytes   BIGINT NOT NULL,
    sha256       TEXT   NOT NULL,
    envelope     TEXT   NOT NULL,
    object       TEXT   NOT NULL,
    published_at BIGINT NOT NULL
);

CREATE TABLE log_bundles (
    operation    TEXT   NOT NULL PRIMARY KEY REFERENCES operations (id) ON DELETE CASCADE,
    tid          TEXT   NOT NULL REFERENCES terminals (tid) ON DELETE CASCADE,
    object       TEXT   NOT NULL,
    size_bytes   BIGINT NOT NULL,
    sha256       TEXT   NOT NULL,
    collected_at BIGINT NOT NULL
);

CREATE INDEX log_bundles_by_terminal ON log_bundles (tid, collected_at);

CREATE TABLE admins (
    name          TEXT    NOT NULL PRIMARY KEY,
    password_hash TEXT    NOT NULL,
    one_time      BOOLEAN NOT NULL,
    consumed      BOOLEAN NOT NULL
);

-- Only digests of bearer tokens are kept.
CREATE TABLE tokens (
    sha256     TEXT   NOT NULL PRIMARY KEY,
    name       TEXT   NOT NULL REFERENCES admins (name) ON DELETE CASCADE,
    expires_at BIGINT NOT NULL
);
