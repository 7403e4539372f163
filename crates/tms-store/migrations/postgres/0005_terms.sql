-- The terms of an operation, and of these what the queue is ordered and found by.
ALTER TABLE operations ADD COLUMN terms TEXT;
ALTER TABLE operations ADD COLUMN priority BIGINT NOT NULL DEFAULT 5;
-- Not before this moment; it moves on when the window closes.
ALTER TABLE operations ADD COLUMN due_at BIGINT;
ALTER TABLE operations ADD COLUMN awaits_settlement BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE operations ADD COLUMN rollout TEXT COLLATE "C";
ALTER TABLE operations ADD COLUMN batch TEXT COLLATE "C";

-- The last attempt, and those before it as JSON.
ALTER TABLE operations ADD COLUMN began_at BIGINT;
ALTER TABLE operations ADD COLUMN node TEXT;
ALTER TABLE operations ADD COLUMN tried TEXT;

CREATE INDEX operations_by_batch ON operations (batch, id) WHERE batch IS NOT NULL;
CREATE INDEX operations_due ON operations (due_at) WHERE due_at IS NOT NULL;

-- When the terminal last completed a settlement.
ALTER TABLE terminals ADD COLUMN settled_at BIGINT;
