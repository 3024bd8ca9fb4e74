-- Where the holders of license keys want to be told of what happens. A secret is stored sealed: the services can open it,
-- the database cannot.
CREATE TABLE webhooks (
    webhook_id       uuid PRIMARY KEY,
    user_id          bigint NOT NULL REFERENCES data_exhaust_users,
    url              text NOT NULL CHECK (length(url) BETWEEN 1 AND 2048),
    events           text[] NOT NULL,
    secret           bytea NOT NULL,
    old_secret       bytea,                              -- also signs, until then
    old_secret_until timestamptz,
    created_at       timestamptz NOT NULL DEFAULT now(),
    off_since        timestamptz,                        -- NULL while it is switched on
    off_reason       text CHECK (off_reason IN ('owner', 'gone', 'failing')),
    failing_since    timestamptz,                        -- the first failure after the last success
    slow             boolean NOT NULL DEFAULT false      -- its last success took long
);
CREATE INDEX webhooks_by_user ON webhooks (user_id);

-- Those that get anything: switched on, of a client that still has a valid key.
CREATE VIEW live_webhooks AS
SELECT w.* FROM webhooks w
WHERE w.off_since IS NULL AND EXISTS (SELECT FROM valid_license_keys k WHERE k.user_id = w.user_id);

-- What is to be delivered, and what became of it.
CREATE TABLE webhook_deliveries (
    delivery_id   uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    webhook_id    uuid NOT NULL REFERENCES webhooks ON DELETE CASCADE,
    event         text NOT NULL,
    request_id    uuid,                                  -- of an event of a request, which may be deleted sooner
    data          jsonb NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now(),
    state         text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'delivered', 'failed', 'skipped')),
    next_at       timestamptz DEFAULT now(),             -- of the next attempt; NULL when there will be none
    claimed_until timestamptz,                           -- until then somebody sends it
    attempt       integer NOT NULL DEFAULT 0,
    failures      integer NOT NULL DEFAULT 0,            -- since it became due afresh
    tried_at      timestamptz,
    http_status   integer,
    reason        text,
    CHECK ((state = 'waiting') = (next_at IS NOT NULL))
);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (webhook_id, next_at) WHERE next_at IS NOT NULL;
CREATE INDEX webhook_deliveries_claimed ON webhook_deliveries (webhook_id) WHERE claimed_until IS NOT NULL;
CREATE INDEX webhook_deliveries_by_webhook ON webhook_deliveries (webhook_id, created_at, delivery_id);
CREATE INDEX webhook_deliveries_by_request ON webhook_deliveries USING hash (request_id);
CREATE INDEX webhook_deliveries_by_age ON webhook_deliveries (created_at);

-- Whoever ends a request, a worker's report, the reaper, its owner or an operator: the deliveries of its end are written in
-- that transaction, so that none is lost or made up. What a switched-off webhook misses can be replayed.
DO $$
BEGIN
    EXECUTE format(
        $functions$
        CREATE FUNCTION tell_webhooks() RETURNS trigger
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
              AND EXISTS (SELECT FROM valid_license_keys k WHERE k.user_id = w.user_id);
            IF FOUND THEN
                PERFORM pg_notify('webhook_deliveries', '');
            END IF;
            RETURN NULL;
        END
        $body$;

        CREATE FUNCTION prune_webhook_deliveries(keep interval, at_most integer) RETURNS bigint
        LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, %1$I, pg_temp AS $body$
            WITH old AS MATERIALIZED (
                SELECT delivery_id FROM webhook_deliveries
                WHERE created_at < now() - greatest(keep, interval '4 days')
                ORDER BY created_at LIMIT at_most FOR UPDATE SKIP LOCKED
            ), gone AS (
                DELETE FROM webhook_deliveries d USING old o WHERE d.delivery_id = o.delivery_id RETURNING 1
            )
            SELECT count(*) FROM gone
        $body$;
        $functions$,
        current_schema()
    );
END
$$;
REVOKE ALL ON FUNCTION tell_webhooks(), prune_webhook_deliveries(interval, integer) FROM PUBLIC;
CREATE TRIGGER tell_webhooks AFTER UPDATE OF attempt, state ON requests FOR EACH ROW
WHEN (
    NEW.state::text IN ('complete', 'failed', 'cancelled')
    AND (OLD.attempt <> NEW.attempt OR OLD.state::text <> NEW.state::text)
) EXECUTE FUNCTION tell_webhooks();
