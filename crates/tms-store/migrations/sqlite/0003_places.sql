-- Groups. Where one may stand is checked before it is written, so that `parent` needs no reference: rows may
-- come in any order.
CREATE TABLE groups (
    id         TEXT   NOT NULL PRIMARY KEY,
    parent     TEXT,
    kind       TEXT   NOT NULL,
    name       TEXT   NOT NULL,
    templates  TEXT   NOT NULL,
    attributes TEXT   NOT NULL,
    version    BIGINT NOT NULL
);

CREATE INDEX groups_by_parent ON groups (parent);

-- Where a terminal stands and what people know it by. Tags and attributes are kept here to be read, and in
-- tables of their own to be found by.
ALTER TABLE terminals ADD COLUMN vendor TEXT NOT NULL DEFAULT '';
ALTER TABLE terminals ADD COLUMN time_zone TEXT NOT NULL DEFAULT 'Asia/Shanghai';
ALTER TABLE terminals ADD COLUMN life_cycle TEXT NOT NULL DEFAULT 'active';
ALTER TABLE terminals ADD COLUMN replaced_by TEXT;
ALTER TABLE terminals ADD COLUMN group_id TEXT REFERENCES groups (id);
ALTER TABLE terminals ADD COLUMN tags TEXT NOT NULL DEFAULT '[]';
ALTER TABLE terminals ADD COLUMN attributes TEXT NOT NULL DEFAULT '{}';
ALTER TABLE terminals ADD COLUMN version BIGINT NOT NULL DEFAULT 0;

-- What selectors ask of desired and reported state, taken from those columns whenever they are written.
ALTER TABLE terminals ADD COLUMN desired_firmware TEXT;
ALTER TABLE terminals ADD COLUMN reported_firmware TEXT;
-- Sorts as the version does (`tms_core::selector::version`).
ALTER TABLE terminals ADD COLUMN firmware_order TEXT;
ALTER TABLE terminals ADD COLUMN boot_count BIGINT;
ALTER TABLE terminals ADD COLUMN battery BIGINT;
ALTER TABLE terminals ADD COLUMN paper BOOLEAN;
ALTER TABLE terminals ADD COLUMN printer BOOLEAN;
ALTER TABLE terminals ADD COLUMN card_reader BOOLEAN;
ALTER TABLE terminals ADD COLUMN pin_pad BOOLEAN;
ALTER TABLE terminals ADD COLUMN keyboard BOOLEAN;
ALTER TABLE terminals ADD COLUMN display BOOLEAN;
ALTER TABLE terminals ADD COLUMN tamper BOOLEAN;
-- Whether these columns have been filled; they are when the store is opened.
ALTER TABLE terminals ADD COLUMN is_derived BOOLEAN NOT NULL DEFAULT FALSE;

CREATE INDEX terminals_to_derive ON terminals (tid) WHERE NOT is_derived;
CREATE INDEX terminals_by_group ON terminals (group_id, tid);
CREATE INDEX terminals_by_merchant ON terminals (merchant, tid);
CREATE INDEX terminals_by_serial ON terminals (serial, tid);
CREATE INDEX terminals_by_model ON terminals (model, tid);
CREATE INDEX terminals_by_firmware ON terminals (firmware_order, tid);

CREATE TABLE terminal_tags (
    tid TEXT NOT NULL REFERENCES terminals (tid) ON DELETE CASCADE,
    tag TEXT NOT NULL,
    PRIMARY KEY (tid, tag)
);

CREATE INDEX terminal_tags_by_tag ON terminal_tags (tag, tid);

-- One of text, number and flag has the value.
CREATE TABLE terminal_attributes (
    tid    TEXT NOT NULL REFERENCES terminals (tid) ON DELETE CASCADE,
    name   TEXT NOT NULL,
    text   TEXT,
    number BIGINT,
    flag   BOOLEAN,
    PRIMARY KEY (tid, name)
);

CREATE INDEX terminal_attributes_by_name ON terminal_attributes (name, text, number, tid);

CREATE TABLE selectors (
    name        TEXT   NOT NULL PRIMARY KEY,
    selector    TEXT   NOT NULL,
    description TEXT   NOT NULL,
    author      TEXT   NOT NULL,
    version     BIGINT NOT NULL
);
