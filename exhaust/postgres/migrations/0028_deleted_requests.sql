-- Requests that their partners have deleted. Nobody is told of them any more; sweep_at says when their objects are removed
-- next. The row goes when no message about it can come any more.
ALTER TABLE requests ADD COLUMN deleted_at timestamptz, ADD COLUMN sweep_at timestamptz;
CREATE INDEX requests_to_sweep ON requests (sweep_at) WHERE sweep_at IS NOT NULL;

-- As the functions of the migration 0012: they run as the owner, and take requests that have ended alone.
DO $$
BEGIN
    EXECUTE format(
        $functions$
        CREATE FUNCTION mark_request_deleted(request uuid) RETURNS boolean
        LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, %1$I, pg_temp AS $body$
            WITH marked AS (
                UPDATE requests SET deleted_at = now(), sweep_at = now()
                WHERE request_id = request AND deleted_at IS NULL AND state NOT IN ('submitted', 'inprogress')
                RETURNING request_id
            ), keys AS (
                DELETE FROM idempotency_keys k USING marked m WHERE k.request_id = m.request_id
            )
            SELECT count(*) > 0 FROM marked
        $body$;

        CREATE FUNCTION remove_deleted_request(request uuid, keep interval) RETURNS boolean
        LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, %1$I, pg_temp AS $body$
            SELECT delete_requests(ARRAY(
                SELECT request_id FROM requests
                WHERE request_id = request AND deleted_at <= now() - greatest(keep, interval '1 minute')
                    AND state NOT IN ('submitted', 'inprogress')
                FOR UPDATE
            )) > 0
        $body$;
        $functions$,
        current_schema()
    );
END
$$;
REVOKE ALL ON FUNCTION mark_request_deleted(uuid), remove_deleted_request(uuid, interval) FROM PUBLIC;
