-- What the removal of old rows looks for.
CREATE INDEX requests_by_end ON requests (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX requests_by_username ON requests USING hash (username); -- takes a text of any length
CREATE INDEX inbox_by_age ON inbox (received_at);
CREATE INDEX idempotency_keys_by_creation ON idempotency_keys (created_at);
CREATE INDEX idempotency_keys_by_request ON idempotency_keys (request_id);

-- The only ways by which a service removes rows. They run as the owner, and take old rows alone: nothing younger than a
-- minute goes, whoever calls. Nobody but the owner's own command removes rows of the audit.
DO $$
BEGIN
    EXECUTE format(
        $functions$
        CREATE FUNCTION delete_requests(ids uuid[]) RETURNS bigint
        LANGUAGE sql SET search_path = pg_catalog, %1$I, pg_temp AS $body$
            WITH days AS (DELETE FROM request_days WHERE request_id = ANY (ids)),
                 waiting AS (DELETE FROM outbox WHERE request_id = ANY (ids)),
                 keys AS (DELETE FROM idempotency_keys WHERE request_id = ANY (ids)),
                 gone AS (DELETE FROM requests WHERE request_id = ANY (ids) RETURNING request_id)
            SELECT count(*) FROM gone
        $body$;

        CREATE FUNCTION prune_requests(keep interval, at_most integer) RETURNS bigint
        LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, %1$I, pg_temp AS $body$
            SELECT delete_requests(ARRAY(
                SELECT request_id FROM requests
                WHERE ended_at < now() - greatest(keep, interval '1 minute') AND state NOT IN ('submitted', 'inprogress')
                ORDER BY ended_at LIMIT at_most FOR UPDATE SKIP LOCKED
            ))
        $body$;

        CREATE FUNCTION prune_parked_requests(keep interval, at_most integer) RETURNS bigint
        LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, %1$I, pg_temp AS $body$
            SELECT delete_requests(ARRAY(
                SELECT request_id FROM requests
                WHERE parked_at < now() - greatest(keep, interval '1 minute') AND state IN ('submitted', 'inprogress')
                ORDER BY parked_at LIMIT at_most FOR UPDATE SKIP LOCKED
            ))
        $body$;

        CREATE FUNCTION prune_inbox(keep interval, at_most integer) RETURNS bigint
        LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, %1$I, pg_temp AS $body$
            WITH gone AS (
                DELETE FROM inbox WHERE (source, event_id, digest) IN (
                    SELECT source, event_id, digest FROM inbox
                    WHERE received_at < now() - greatest(keep, interval '1 minute')
                    ORDER BY received_at LIMIT at_most FOR UPDATE SKIP LOCKED
                ) RETURNING 1
            )
            SELECT count(*) FROM gone
        $body$;

        CREATE FUNCTION prune_idempotency_keys(keep interval, at_most integer) RETURNS bigint
        LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, %1$I, pg_temp AS $body$
            WITH gone AS (
                DELETE FROM idempotency_keys WHERE (user_id, key) IN (
                    SELECT user_id, key FROM idempotency_keys
                    WHERE created_at < now() - greatest(keep, interval '24 hours')
                    ORDER BY created_at LIMIT at_most FOR UPDATE SKIP LOCKED
                ) RETURNING 1
            )
            SELECT count(*) FROM gone
        $body$;
        $functions$,
        current_schema()
    );
END
$$;
REVOKE ALL ON FUNCTION delete_requests(uuid[]), prune_requests(interval, integer),
    prune_parked_requests(interval, integer), prune_inbox(interval, integer),
    prune_idempotency_keys(interval, integer) FROM PUBLIC;
