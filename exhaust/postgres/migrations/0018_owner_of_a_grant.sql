-- The plain id of the partner or channel behind a resource id, which is its hash. Whoever knows it finds events faster, so one
-- grant that names it serves all callers who name only the hash.
ALTER TABLE data_exhaust_users_resources ADD COLUMN owner text CHECK (length(owner) BETWEEN 1 AND 256);
