-- Addresses that are told what happens.
CREATE TABLE webhooks (
    id            TEXT    NOT NULL PRIMARY KEY,
    url           TEXT    NOT NULL,
    kinds         TEXT    NOT NULL,
    enabled       BOOLEAN NOT NULL,
    secret_sealed BLOB    NOT NULL,
    author        TEXT    NOT NULL,
    created_at    BIGINT  NOT NULL
);

-- What was or is to be posted to them.
CREATE TABLE deliveries (
    id         TEXT   NOT NULL PRIMARY KEY,
    webhook    TEXT   NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    event      TEXT   NOT NULL,
    state      TEXT   NOT NULL,
    attempts   BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    due_at     BIGINT NOT NULL,
    detail     TEXT
);

CREATE INDEX deliveries_by_webhook ON deliveries (webhook, id);
CREATE INDEX deliveries_by_time ON deliveries (state, due_at);
