-- Sign-ins at the portal. Of the random id in the cookie only a hash is kept. A session ends with the license key that
-- opened it: whoever looks for one joins the valid keys.
CREATE TABLE portal_sessions (
    id_hash    bytea PRIMARY KEY,
    user_id    bigint NOT NULL REFERENCES data_exhaust_users ON DELETE CASCADE,
    key_id     bigint NOT NULL REFERENCES license_keys ON DELETE CASCADE,
    csrf_token text NOT NULL,
    made_at    timestamptz NOT NULL DEFAULT now(),
    ends_at    timestamptz NOT NULL
);
CREATE INDEX portal_sessions_by_end ON portal_sessions (ends_at);
CREATE INDEX portal_sessions_by_user ON portal_sessions (user_id, made_at);
CREATE INDEX portal_sessions_by_key ON portal_sessions (key_id);
