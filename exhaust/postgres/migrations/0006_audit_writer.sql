-- Which role of the database wrote a row of the audit; NULL in rows from before this migration.
ALTER TABLE audit ADD COLUMN database_user text;

-- Whoever writes a row, and however: the time and the role are the server's, and an operator's name stands behind the
-- role. clock_timestamp(), because now() is the time at which the writer chose to begin its transaction.
CREATE FUNCTION stamp_audit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.at := clock_timestamp();
    NEW.database_user := session_user;
    IF starts_with(NEW.actor, 'operator/') THEN
        NEW.actor := 'operator/' || session_user || substr(NEW.actor, length('operator/'));
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER stamp_audit BEFORE INSERT ON audit FOR EACH ROW EXECUTE FUNCTION stamp_audit();

-- The one way by which a service writes the audit: it runs as the owner, whatever the caller's search_path is.
DO $$
BEGIN
    EXECUTE format(
        $function$
        CREATE FUNCTION record_audit(actor text, action text, subject text, detail jsonb) RETURNS void
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
        BEGIN
            INSERT INTO %I.audit (actor, action, subject, detail) VALUES ($1, $2, $3, $4);
        END
        $body$
        $function$,
        current_schema()
    );
END
$$;
REVOKE ALL ON FUNCTION record_audit(text, text, text, jsonb) FROM PUBLIC;
