-- What scopes have had, from the first revision to the current one. A row is never changed.
CREATE TABLE revisions (
    scope            TEXT   COLLATE "C" NOT NULL,
    number           BIGINT NOT NULL,
    content          TEXT   NOT NULL,
    author           TEXT   NOT NULL,
    reason           TEXT   NOT NULL,
    at               BIGINT NOT NULL,
    rolled_back_from BIGINT,
    PRIMARY KEY (scope, number)
);
