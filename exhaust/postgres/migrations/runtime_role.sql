-- What the role of the running services may do; run after every migration.
-- exhaust.runtime_role is set by the migration command.
DO $$
DECLARE
    role text := current_setting('exhaust.runtime_role');
BEGIN
    EXECUTE format('GRANT USAGE ON SCHEMA public TO %I', role);
    EXECUTE format('GRANT SELECT, INSERT ON data_exhaust_users TO %I', role);
    -- Grants, keys: the internal listener administers both. A revoked key stays revoked, by a trigger.
    EXECUTE format(
        'GRANT SELECT, INSERT, UPDATE (expires_at), DELETE ON data_exhaust_users_resources TO %I', role);
    EXECUTE format(
        'GRANT SELECT, INSERT, UPDATE (license_key_hash, pepper_version, expires_at, revoked_at)'
        ' ON license_keys TO %I', role);
    EXECUTE format('GRANT SELECT ON valid_license_keys, token_subjects TO %I', role);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE (request_id), DELETE ON idempotency_keys TO %I', role);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE ON requests TO %I', role);
    -- UPDATE, because SELECT … FOR UPDATE asks for it.
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON outbox TO %I', role);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE ON request_days TO %I', role);
    EXECUTE format('GRANT SELECT, INSERT, DELETE ON inbox TO %I', role);
    EXECUTE format('GRANT SELECT, INSERT ON audit TO %I', role);
END
$$;
