CREATE TABLE rollouts (
    id      TEXT COLLATE "C"   NOT NULL PRIMARY KEY,
    state   TEXT COLLATE "C"   NOT NULL,
    content TEXT   NOT NULL,
    version BIGINT NOT NULL
);

-- Frozen when the rollout starts, each with its place in the order of all.
CREATE TABLE rollout_targets (
    rollout    TEXT COLLATE "C"   NOT NULL REFERENCES rollouts (id) ON DELETE CASCADE,
    place      BIGINT NOT NULL,
    tid        TEXT COLLATE "C"   NOT NULL REFERENCES terminals (tid) ON DELETE CASCADE,
    wave       BIGINT NOT NULL,
    state      TEXT COLLATE "C"   NOT NULL,
    operation  TEXT COLLATE "C",
    started_at BIGINT,
    soak_until BIGINT,
    judge_by   BIGINT,
    reason     TEXT,
    PRIMARY KEY (rollout, place),
    UNIQUE (rollout, tid)
);

CREATE INDEX rollout_targets_by_state ON rollout_targets (rollout, state, wave, place);
CREATE INDEX rollout_targets_by_start ON rollout_targets (rollout, started_at) WHERE started_at IS NOT NULL;
CREATE INDEX rollout_targets_by_operation ON rollout_targets (operation) WHERE operation IS NOT NULL;
