-- An event is known by its source, its id and what it says: a forged event under the id of a true one drops nothing.
-- The version before writes no digest; what it has taken in may be taken in once more, which changes nothing.
ALTER TABLE inbox ADD COLUMN digest bytea NOT NULL DEFAULT '';
ALTER TABLE inbox DROP CONSTRAINT inbox_pkey, ADD PRIMARY KEY (source, event_id, digest);
