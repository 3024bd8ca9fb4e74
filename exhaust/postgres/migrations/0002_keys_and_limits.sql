-- A key has a row of its own: while a client's key is replaced, the old and the new one are both valid.
CREATE TABLE license_keys (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id          bigint NOT NULL REFERENCES data_exhaust_users,
    license_key_hash bytea NOT NULL UNIQUE,
    pepper_version   integer NOT NULL,
    created_at       timestamptz NOT NULL DEFAULT now(),
    expires_at       timestamptz,
    revoked_at       timestamptz
);
CREATE INDEX license_keys_by_user ON license_keys (user_id);
INSERT INTO license_keys (user_id, license_key_hash, pepper_version, created_at, revoked_at)
SELECT id, license_key_hash, pepper_version, created_at, revoked_at FROM data_exhaust_users;

-- The keys that open something now. The user's own revoked_at, set by hand, closes all of its keys.
CREATE VIEW valid_license_keys AS
SELECT k.id, k.license_key_hash, k.pepper_version, k.user_id, u.client_name, u.license_key_name
FROM license_keys k JOIN data_exhaust_users u ON u.id = k.user_id
WHERE k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now()) AND u.revoked_at IS NULL;

-- Gateways of the version before may still be running: they read and write the key in the user's row.
-- What they write is taken along; what this version registers has no key there.
ALTER TABLE data_exhaust_users
    ALTER COLUMN license_key_hash DROP NOT NULL,
    ALTER COLUMN pepper_version DROP NOT NULL;
CREATE FUNCTION take_key_along() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO license_keys (user_id, license_key_hash, pepper_version)
    VALUES (NEW.id, NEW.license_key_hash, NEW.pepper_version);
    RETURN NULL;
END
$$;
CREATE TRIGGER take_key_along AFTER INSERT ON data_exhaust_users
    FOR EACH ROW WHEN (NEW.license_key_hash IS NOT NULL) EXECUTE FUNCTION take_key_along();

-- Revoking is final, whoever tries.
CREATE FUNCTION keep_revoked() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a revoked license key stays revoked';
END
$$;
CREATE TRIGGER keep_revoked BEFORE UPDATE OF revoked_at ON license_keys
    FOR EACH ROW WHEN (OLD.revoked_at IS NOT NULL AND NEW.revoked_at IS DISTINCT FROM OLD.revoked_at)
    EXECUTE FUNCTION keep_revoked();

-- Who the subject of a token is. A row is written by `exhaust bind-subject`.
CREATE TABLE token_subjects (
    issuer     text NOT NULL,
    subject    text NOT NULL,
    user_id    bigint NOT NULL REFERENCES data_exhaust_users,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (issuer, subject)
);

-- The request that a caller's Idempotency-Key stands for, and what was asked then.
CREATE TABLE idempotency_keys (
    user_id     bigint NOT NULL REFERENCES data_exhaust_users,
    key         text NOT NULL,
    fingerprint bytea NOT NULL,
    request_id  uuid NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, key)
);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (user_id, created_at);

-- How many requests of a partner are open.
CREATE INDEX requests_open_by_partner ON requests (partner_id) WHERE state IN ('submitted', 'inprogress');

-- Who has access to a resource.
CREATE INDEX data_exhaust_users_resources_by_resource ON data_exhaust_users_resources (resource);

-- The audit is read by time, and by what was done to one thing.
CREATE INDEX audit_by_subject ON audit (subject, id);
