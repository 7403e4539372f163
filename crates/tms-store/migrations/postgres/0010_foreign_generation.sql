-- What a terminal has in force from a store that was lost.
ALTER TABLE credentials ADD COLUMN foreign_generation BIGINT;
