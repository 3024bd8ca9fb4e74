-- As in the migration 0023, but whose grant was withdrawn is told nothing of a request, as by its status.
DO $$
BEGIN
    EXECUTE format(
        $functions$
        CREATE OR REPLACE FUNCTION tell_webhooks() RETURNS trigger
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, %1$I, pg_temp AS $body$
        DECLARE
            kind text := CASE WHEN NEW.state::text = 'complete' THEN 'request.complete' ELSE 'request.failed' END;
        BEGIN
            INSERT INTO webhook_deliveries (webhook_id, event, request_id, data, state, next_at, reason)
            SELECT w.webhook_id, kind, NEW.request_id,
                   jsonb_build_object(
                       'requestid', NEW.request_id, 'datasetid', NEW.dataset_id, 'resourceid', NEW.resource,
                       'fromdate', readable_date(NEW.from_date), 'todate', readable_date(NEW.to_date),
                       'status', CASE WHEN NEW.state::text = 'complete' THEN 'complete' ELSE 'failed' END,
                       'code', CASE WHEN NEW.state::text <> 'complete' THEN NEW.outcome ->> 'code' END,
                       'day', CASE WHEN NEW.state::text <> 'complete' THEN NEW.outcome ->> 'day' END
                   ),
                   CASE WHEN w.off_since IS NULL THEN 'waiting' ELSE 'skipped' END,
                   CASE WHEN w.off_since IS NULL THEN now() END,
                   CASE WHEN w.off_since IS NOT NULL THEN 'the webhook was switched off' END
            FROM webhooks w
            WHERE w.user_id = NEW.user_id AND kind = ANY (w.events)
              AND EXISTS (SELECT FROM valid_license_keys k WHERE k.user_id = w.user_id)
              AND (
                  SELECT bool_or(g.resource = NEW.resource AND (g.dataset_id IS NULL OR g.dataset_id = NEW.dataset_id))
                     AND bool_or(g.resource = NEW.partner_resource OR NEW.partner_resource = '')
                  FROM data_exhaust_users_resources g
                  WHERE g.user_id = w.user_id AND g.resource IN (NEW.resource, NEW.partner_resource)
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
