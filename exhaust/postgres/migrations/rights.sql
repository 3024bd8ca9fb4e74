-- What the roles of the running services may do; run after every migration. What an earlier version gave is taken back.
-- The migration command sets exhaust.gateway_roles, exhaust.status_roles, exhaust.console_roles and
-- exhaust.operator_roles, arrays of roles that exist, and exhaust.runtime_role, the role of services that share one (in
-- all arrays but the last), or ''.
DO $$
DECLARE
    gateway_roles text[] := current_setting('exhaust.gateway_roles')::text[];
    status_roles text[] := current_setting('exhaust.status_roles')::text[];
    console_roles text[] := current_setting('exhaust.console_roles')::text[];
    operator_roles text[] := current_setting('exhaust.operator_roles')::text[];
    runtime_role text := current_setting('exhaust.runtime_role');
    role text;
BEGIN
    FOREACH role IN ARRAY gateway_roles || status_roles || console_roles || operator_roles LOOP
        EXECUTE format(
            $rights$
            GRANT USAGE ON SCHEMA %2$I TO %1$I;
            REVOKE ALL ON ALL TABLES IN SCHEMA %2$I FROM %1$I
            $rights$,
            role, current_schema()
        );
    END LOOP;

    FOREACH role IN ARRAY gateway_roles || status_roles || operator_roles LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION record_audit(text, text, text, jsonb) TO %I', role);
    END LOOP;

    FOREACH role IN ARRAY gateway_roles LOOP
        EXECUTE format(
            $rights$
            GRANT SELECT, INSERT ON data_exhaust_users TO %1$I;
            -- Grants, keys: the internal listener administers both. A revoked key stays revoked, by a trigger.
            GRANT SELECT, INSERT, UPDATE (expires_at, owner, owner_kind), DELETE ON data_exhaust_users_resources TO %1$I;
            GRANT SELECT, INSERT, UPDATE (license_key_hash, pepper_version, expires_at, revoked_at)
                ON license_keys TO %1$I;
            GRANT SELECT ON valid_license_keys, token_subjects TO %1$I;
            GRANT SELECT, INSERT, UPDATE (request_id), DELETE ON idempotency_keys TO %1$I;
            GRANT SELECT, INSERT, UPDATE (moved_at, parked_at, parked_reason, released_at) ON requests TO %1$I;
            GRANT SELECT, INSERT, UPDATE (claimed_until), DELETE ON outbox TO %1$I;
            GRANT SELECT ON key_usage, audit, pauses TO %1$I;
            GRANT SELECT, INSERT, UPDATE (ends_at), DELETE ON portal_sessions TO %1$I;
            -- The webhooks of whoever calls. What was delivered is not the gateway's to say, only what is due again.
            GRANT SELECT, INSERT, UPDATE (url, events, secret, old_secret, old_secret_until, off_since, off_reason,
                failing_since, slow), DELETE ON webhooks TO %1$I;
            GRANT SELECT, INSERT, UPDATE (state, next_at, failures, reason) ON webhook_deliveries TO %1$I
            $rights$,
            role
        );
    END LOOP;

    FOREACH role IN ARRAY status_roles LOOP
        EXECUTE format(
            $rights$
            GRANT SELECT ON data_exhaust_users_resources TO %1$I;
            GRANT SELECT, UPDATE (attempt, state, moved_at, ended_at, outcome, parked_at, parked_reason, sweep_at,
                released_at, planned_at, first_day_at, last_day_at, told_position) ON requests TO %1$I;
            GRANT SELECT (kind, name) ON pauses TO %1$I; -- not why: partners are told of a pause, not in whose words
            GRANT SELECT, INSERT, UPDATE (claimed_until), DELETE ON outbox TO %1$I;
            GRANT SELECT, INSERT, DELETE ON cancel_markers TO %1$I;
            GRANT SELECT, INSERT, UPDATE (events, bytes) ON request_days TO %1$I;
            GRANT SELECT, INSERT, UPDATE (days_built, bytes_built), DELETE ON key_usage TO %1$I;
            GRANT SELECT, INSERT ON inbox TO %1$I;
            GRANT SELECT, INSERT, UPDATE (recorded_at) ON audited_downloads TO %1$I;
            GRANT EXECUTE ON FUNCTION prune_requests(interval, integer), prune_parked_requests(interval, integer),
                prune_inbox(interval, integer), prune_idempotency_keys(interval, integer),
                prune_webhook_deliveries(interval, integer), mark_request_deleted(uuid),
                remove_deleted_request(uuid, interval) TO %1$I;
            -- It delivers, and a trigger writes what is to be delivered.
            GRANT SELECT ON live_webhooks TO %1$I;
            GRANT SELECT, INSERT, UPDATE (day, closed_at) ON closed_days TO %1$I;
            GRANT SELECT (webhook_id, off_since, failing_since, slow),
                UPDATE (off_since, off_reason, failing_since, slow) ON webhooks TO %1$I;
            GRANT SELECT, UPDATE (state, next_at, claimed_until, attempt, failures, tried_at, http_status, reason)
                ON webhook_deliveries TO %1$I
            $rights$,
            role
        );
    END LOOP;

    FOREACH role IN ARRAY console_roles LOOP
        EXECUTE format(
            $rights$
            -- It reads what operators look at, and writes what it saw. No username of a request, no license key.
            GRANT SELECT (request_id, user_id, partner_id, partner_resource, dataset_id, resource, from_date, to_date,
                tags, days_total, synchronous, created_at, state, attempt, moved_at, ended_at, outcome, parked_at,
                parked_reason, deleted_at, released_at, planned_at, first_day_at, last_day_at) ON requests TO %1$I;
            GRANT SELECT ON outbox, request_days, cancel_markers, pauses, audit TO %1$I;
            GRANT SELECT, INSERT, DELETE ON stage_samples TO %1$I;
            GRANT SELECT, INSERT, UPDATE, DELETE ON worker_beats, dead_letters TO %1$I
            $rights$,
            role
        );
    END LOOP;

    FOREACH role IN ARRAY operator_roles LOOP
        EXECUTE format(
            $rights$
            -- What the actions of operators do, each with its row of the audit, which this role cannot read. Of a
            -- request's state a trigger lets it start an attempt or cancel one.
            GRANT SELECT (request_id, partner_id, partner_resource, dataset_id, resource, from_date, to_date, tags,
                created_at, state, attempt, moved_at, ended_at, outcome, parked_at, parked_reason, deleted_at,
                days_total, released_at, planned_at, first_day_at, last_day_at) ON requests TO %1$I;
            GRANT UPDATE (attempt, state, moved_at, ended_at, outcome, parked_at, parked_reason, released_at,
                planned_at, first_day_at, last_day_at) ON requests TO %1$I;
            GRANT SELECT, INSERT, UPDATE (claimed_until), DELETE ON outbox TO %1$I;
            GRANT SELECT (request_id, attempt) ON request_days TO %1$I;
            GRANT SELECT, INSERT ON cancel_markers TO %1$I;
            GRANT SELECT, INSERT, DELETE ON pauses TO %1$I;
            GRANT SELECT, UPDATE (state, claimed_until, search_from, moved_at) ON dead_letters TO %1$I
            $rights$,
            role
        );
    END LOOP;

    IF runtime_role <> '' THEN
        -- Services of version 0.1.0, which may still be running, write the audit directly. They can say no more by it
        -- than by record_audit: the trigger stamps these rows too.
        EXECUTE format('GRANT INSERT (actor, action, subject, detail) ON audit TO %I', runtime_role);
    END IF;
END
$$;
