-- Requests that callers may repeat under a key of their own, with their sealed answers.
CREATE TABLE requests (
    caller      TEXT   NOT NULL,
    request_key TEXT   NOT NULL,
    fingerprint TEXT   NOT NULL,
    began_at    BIGINT NOT NULL,
    answer      BLOB,
    PRIMARY KEY (caller, request_key)
);

CREATE INDEX requests_by_age ON requests (began_at);
