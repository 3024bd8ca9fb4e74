-- The newest day of each dataset that is closed: over for so long that no more telemetry of it is expected.
CREATE TABLE closed_days (
    dataset_id text PRIMARY KEY,
    day        date NOT NULL,
    closed_at  timestamptz NOT NULL DEFAULT now()
);

-- Whoever may read something of the dataset is told, once for each day.
DO $$
BEGIN
    EXECUTE format(
        $functions$
        CREATE FUNCTION tell_of_closed_day() RETURNS trigger
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, %1$I, pg_temp AS $body$
        BEGIN
            INSERT INTO webhook_deliveries (webhook_id, event, data, state, next_at, reason)
            SELECT w.webhook_id, 'day.closed', jsonb_build_object('datasetid', NEW.dataset_id, 'date', NEW.day),
                   CASE WHEN w.off_since IS NULL THEN 'waiting' ELSE 'skipped' END,
                   CASE WHEN w.off_since IS NULL THEN now() END,
                   CASE WHEN w.off_since IS NOT NULL THEN 'the webhook was switched off' END
            FROM webhooks w
            WHERE 'day.closed' = ANY (w.events)
              AND EXISTS (SELECT FROM valid_license_keys k WHERE k.user_id = w.user_id)
              AND EXISTS (
                  SELECT FROM data_exhaust_users_resources g
                  WHERE g.user_id = w.user_id AND (g.dataset_id IS NULL OR g.dataset_id = NEW.dataset_id)
                    AND (g.expires_at IS NULL OR g.expires_at > now())
              );
            IF FOUND THEN
                PERFORM pg_notify('webhook_deliveries', '');
            END IF;
            RETURN NULL;
        END
        $body$;
        $functions$,
        current_schema()
    );
END
$$;
REVOKE ALL ON FUNCTION tell_of_closed_day() FROM PUBLIC;
CREATE TRIGGER tell_of_closed_day AFTER INSERT OR UPDATE OF day ON closed_days FOR EACH ROW
EXECUTE FUNCTION tell_of_closed_day();
