-- The console's role for operators may change the state of a request, to start an attempt or to cancel one. Who may not
-- record finished days may do no more than that: with the password of that role nobody completes a request.
-- (A new value of a type cannot be named in the transaction that adds it, so it is compared as text.)
CREATE FUNCTION refuse_report() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT has_table_privilege(format('%I.request_days', TG_TABLE_SCHEMA), 'INSERT') THEN
        RAISE insufficient_privilege USING MESSAGE = 'permission denied to report the progress of requests';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER refuse_report BEFORE UPDATE OF attempt, state, outcome ON requests FOR EACH ROW
WHEN (
    NOT coalesce(NEW.state = 'submitted' AND NEW.attempt = OLD.attempt + 1 AND NEW.outcome IS NULL, false)
    AND NOT coalesce(
        NEW.state::text = 'cancelled' AND NEW.attempt = OLD.attempt AND OLD.state <> 'complete'
        AND NEW.outcome->>'code' = 'CANCELLED',
        false
    )
) EXECUTE FUNCTION refuse_report();
