-- A client name belongs to whoever registered it first. Another key under it is unproven (proven_at is NULL) until one of
-- the client's proven keys came with its registration, or an operator confirmed it.
-- The first user of a client name holds the keys of the name, so that no other client gets a name that looks the same.
ALTER TABLE data_exhaust_users
    ADD COLUMN registered_by text,
    ADD COLUMN proven_at timestamptz,
    ADD COLUMN proven_by text,
    ADD COLUMN name_look_alike bytea UNIQUE,
    ADD COLUMN name_case bytea UNIQUE;

-- What operators granted or bound already, they have decided. The migration command computes the keys of the names;
-- where names of old look alike, the oldest holds them.
UPDATE data_exhaust_users SET registered_by = 'public';
UPDATE data_exhaust_users u SET proven_at = u.created_at, proven_by = 'first'
WHERE NOT EXISTS (SELECT FROM data_exhaust_users o WHERE o.client_name = u.client_name AND o.id < u.id);
UPDATE data_exhaust_users u SET proven_at = now(), proven_by = 'migration'
WHERE proven_at IS NULL AND (
    EXISTS (SELECT FROM data_exhaust_users_resources g WHERE g.user_id = u.id)
    OR EXISTS (SELECT FROM token_subjects s WHERE s.user_id = u.id)
);

-- Gateways of version 0.1.0 may still be running; they register without saying any of this.
CREATE FUNCTION complete_registration() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.registered_by := 'public';
    IF NOT EXISTS (SELECT FROM data_exhaust_users WHERE client_name = NEW.client_name) THEN
        NEW.proven_at := now();
        NEW.proven_by := 'first';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER complete_registration BEFORE INSERT ON data_exhaust_users
    FOR EACH ROW WHEN (NEW.registered_by IS NULL) EXECUTE FUNCTION complete_registration();
