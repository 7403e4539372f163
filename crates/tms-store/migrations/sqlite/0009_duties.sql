-- What one node does at a time, and who does it until when.
CREATE TABLE duties (
    name   TEXT   NOT NULL PRIMARY KEY,
    holder TEXT   NOT NULL,
    until  BIGINT NOT NULL
);
