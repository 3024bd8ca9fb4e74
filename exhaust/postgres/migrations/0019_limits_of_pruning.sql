-- A subselect may run once for each row, its LIMIT included, and with SKIP LOCKED each run finds other rows. What is
-- materialized runs once.
DO $$
BEGIN
    EXECUTE format(
        $functions$
        CREATE OR REPLACE FUNCTION prune_inbox(keep interval, at_most integer) RETURNS bigint
        LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, %1$I, pg_temp AS $body$
            WITH old AS MATERIALIZED (
                SELECT source, event_id, digest FROM inbox
                WHERE received_at < now() - greatest(keep, interval '1 minute')
                ORDER BY received_at LIMIT at_most FOR UPDATE SKIP LOCKED
            ), gone AS (
                DELETE FROM inbox i USING old o
                WHERE (i.source, i.event_id, i.digest) = (o.source, o.event_id, o.digest) RETURNING 1
            )
            SELECT count(*) FROM gone
        $body$;

        CREATE OR REPLACE FUNCTION prune_idempotency_keys(keep interval, at_most integer) RETURNS bigint
        LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, %1$I, pg_temp AS $body$
            WITH old AS MATERIALIZED (
                SELECT user_id, key FROM idempotency_keys
                WHERE created_at < now() - greatest(keep, interval '24 hours')
                ORDER BY created_at LIMIT at_most FOR UPDATE SKIP LOCKED
            ), gone AS (
                DELETE FROM idempotency_keys k USING old o
                WHERE (k.user_id, k.key) = (o.user_id, o.key) RETURNING 1
            )
            SELECT count(*) FROM gone
        $body$;
        $functions$,
        current_schema()
    );
END
$$;
