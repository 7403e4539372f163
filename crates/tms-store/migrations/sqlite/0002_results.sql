-- What a terminal found in answer to an operation: a JSON object of names and values.
ALTER TABLE operations ADD COLUMN result TEXT;
