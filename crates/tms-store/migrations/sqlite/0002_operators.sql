-- What a terminal found in answer to an operation: a JSON object of names and values.
ALTER TABLE operations ADD COLUMN result TEXT;

CREATE TABLE alarms (
    -- The order in which they came.
    number      INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    tid         TEXT    NOT NULL REFERENCES terminals (tid) ON DELETE CASCADE,
    sequence    BIGINT  NOT NULL,
    kind        TEXT    NOT NULL,
    severity    BIGINT  NOT NULL,
    at          BIGINT  NOT NULL,
    text        TEXT    NOT NULL,
    received_at BIGINT  NOT NULL,
    -- An alarm whose answer was lost comes again.
    UNIQUE (tid, sequence)
);

-- Sets that all terminals download.
CREATE TABLE sets (
    name       TEXT   NOT NULL PRIMARY KEY,
    revision   BIGINT NOT NULL,
    content    TEXT   NOT NULL,
    updated_at BIGINT NOT NULL
);

-- Small JSON documents that the server keeps about a terminal, one of each name.
CREATE TABLE documents (
    tid     TEXT NOT NULL REFERENCES terminals (tid) ON DELETE CASCADE,
    name    TEXT NOT NULL,
    content TEXT NOT NULL,
    PRIMARY KEY (tid, name)
);
