-- The same tables as in migrations/sqlite, version for version, with PostgreSQL's types. Text compares by
-- bytes, as there: pages are in the order of ids, whatever the database's language is.

CREATE TABLE terminals (
    tid                TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
    merchant           TEXT   NOT NULL,
    profile            TEXT   NOT NULL,
    model              TEXT   NOT NULL,
    hardware_revision  TEXT   NOT NULL,
    serial             TEXT   NOT NULL,
    enrolled_at        BIGINT NOT NULL,
    sealing_public_key BYTEA  NOT NULL,
    tmk_sealed         BYTEA  NOT NULL,
    certificate_sha256 TEXT   COLLATE "C" UNIQUE,
    desired            TEXT   NOT NULL,
    reported           TEXT   NOT NULL
);

-- Room for a new version of a row beside the old one, so that a change of state touches no index.
CREATE TABLE contacts (
    tid TEXT   COLLATE "C" NOT NULL PRIMARY KEY REFERENCES terminals (tid) ON DELETE CASCADE,
    at  BIGINT NOT NULL
) WITH (fillfactor = 70);

-- The order of a terminal's operations. One sequence for all, so that nodes need not wait for each other.
CREATE SEQUENCE operations_seq AS BIGINT;

CREATE TABLE operations (
    id             TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
    tid            TEXT   COLLATE "C" NOT NULL REFERENCES terminals (tid) ON DELETE CASCADE,
    seq            BIGINT NOT NULL,
    kind_name      TEXT   NOT NULL,
    kind           TEXT   NOT NULL,
    state          TEXT   NOT NULL,
    attempts       BIGINT NOT NULL,
    created_at     BIGINT NOT NULL,
    updated_at     BIGINT NOT NULL,
    expires_at     BIGINT NOT NULL,
    lease_holder   TEXT   COLLATE "C",
    lease_until    BIGINT,
    detail         TEXT,
    progress_done  BIGINT,
    progress_total BIGINT,
    UNIQUE (tid, seq)
) WITH (fillfactor = 80);

CREATE INDEX operations_open ON operations (tid, seq)
    WHERE state IN ('queued', 'sent', 'accepted');
CREATE INDEX operations_open_expiry ON operations (expires_at)
    WHERE state IN ('queued', 'sent', 'accepted');
CREATE INDEX operations_leased ON operations (lease_holder)
    WHERE lease_holder IS NOT NULL;

CREATE TABLE credentials (
    tid                TEXT   COLLATE "C" NOT NULL REFERENCES terminals (tid) ON DELETE CASCADE,
    role               TEXT   COLLATE "C" NOT NULL,
    current_generation BIGINT,
    current_sealed     BYTEA,
    current_since      BIGINT,
    pending_generation BIGINT,
    pending_sealed     BYTEA,
    pending_phase      TEXT,
    pending_operation  TEXT,
    highest_generation BIGINT NOT NULL,
    version            BIGINT NOT NULL,
    PRIMARY KEY (tid, role)
);

CREATE TABLE firmware (
    id           TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
    version      TEXT   NOT NULL,
    models       TEXT   NOT NULL,
    size_bytes   BIGINT NOT NULL,
    sha256       TEXT   NOT NULL,
    envelope     TEXT   NOT NULL,
    object       TEXT   NOT NULL,
    published_at BIGINT NOT NULL
);

CREATE TABLE log_bundles (
    operation    TEXT   COLLATE "C" NOT NULL PRIMARY KEY REFERENCES operations (id) ON DELETE CASCADE,
    tid          TEXT   COLLATE "C" NOT NULL REFERENCES terminals (tid) ON DELETE CASCADE,
    object       TEXT   NOT NULL,
    size_bytes   BIGINT NOT NULL,
    sha256       TEXT   NOT NULL,
    collected_at BIGINT NOT NULL
);

CREATE INDEX log_bundles_by_terminal ON log_bundles (tid, collected_at);

CREATE TABLE admins (
    name          TEXT    COLLATE "C" NOT NULL PRIMARY KEY,
    password_hash TEXT    NOT NULL,
    one_time      BOOLEAN NOT NULL,
    consumed      BOOLEAN NOT NULL
);

-- Only digests of bearer tokens are kept.
CREATE TABLE tokens (
    sha256     TEXT   COLLATE "C" NOT NULL PRIMARY KEY,
    name       TEXT   COLLATE "C" NOT NULL REFERENCES admins (name) ON DELETE CASCADE,
    expires_at BIGINT NOT NULL
);
