-- How much a user may do: 'administrator', 'operator' or 'read-only'. Who was there before could do everything.
ALTER TABLE admins ADD COLUMN role TEXT NOT NULL DEFAULT 'administrator';
