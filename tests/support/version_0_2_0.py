"""The statements of version 0.2.0, as its gateways and status services send them to the tables of a later version."""

from __future__ import annotations

from typing import Final

REQUESTS_INSERT: Final = """
INSERT INTO requests
    (request_id, user_id, partner_id, username, dataset_id, resource, from_date, to_date, tags, days_total, synchronous,
     partner_resource)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
ON CONFLICT (user_id, partner_resource, dataset_id, resource, from_date, to_date, tags)
    WHERE state IN ('submitted', 'inprogress')
DO NOTHING
RETURNING request_id
"""
REQUESTS_FIND_IDENTICAL: Final = """
SELECT request_id FROM requests
WHERE user_id = $1 AND dataset_id = $2 AND resource = $3 AND from_date = $4 AND to_date = $5 AND tags = $6
  AND partner_resource = $7
ORDER BY created_at DESC LIMIT 1
"""
REQUESTS_COUNT_OPEN: Final = """
SELECT count(*) AS open FROM (
    SELECT FROM requests WHERE partner_resource = $1 AND state IN ('submitted', 'inprogress') LIMIT $2
) found
"""
REQUESTS_FIND_RECENT_OUTCOME: Final = """
SELECT outcome FROM requests
WHERE dataset_id = $1 AND resource = $2 AND from_date = $3 AND to_date = $4 AND tags = '{}'
  AND state = 'complete' AND ended_at > now() - $5::interval AND outcome ? 'digest'
ORDER BY ended_at DESC LIMIT 1
"""
REQUESTS_FIND_STATE: Final = "SELECT state, outcome FROM requests WHERE request_id = $1"
OUTBOX_TRY_LOCK: Final = "SELECT pg_try_advisory_xact_lock($1) AS locked"
OUTBOX_PUT: Final = """
INSERT INTO outbox (request_id, attempt, traceparent) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING
"""
OUTBOX_NEXT: Final = """
WITH in_flight AS (
    SELECT coalesce(nullif(partner_resource, ''), partner_id) AS partner, count(*) AS requests FROM requests r
    WHERE state IN ('submitted', 'inprogress')
      AND parked_at IS NULL
      AND NOT EXISTS (SELECT FROM outbox o WHERE o.request_id = r.request_id)
    GROUP BY partner
), waiting AS (
    SELECT o.request_id, o.attempt, o.traceparent, o.created_at,
           r.partner_id, p.partner, r.dataset_id, r.resource, d.from_date, d.to_date, r.tags, r.synchronous,
           row_number() OVER (
               PARTITION BY p.partner ORDER BY r.synchronous DESC, d.to_date - d.from_date, o.created_at
           ) AS turn
    FROM outbox o JOIN requests r USING (request_id),
         LATERAL (SELECT readable_date(r.from_date) AS from_date, readable_date(r.to_date) AS to_date) d,
         LATERAL (SELECT coalesce(nullif(r.partner_resource, ''), r.partner_id) AS partner) p
    WHERE r.parked_at IS NULL
)
SELECT w.* FROM waiting w LEFT JOIN in_flight f USING (partner)
WHERE coalesce(f.requests, 0) + w.turn <= $1
ORDER BY w.synchronous DESC, w.turn, w.to_date - w.from_date, w.created_at
LIMIT $2
"""
OUTBOX_MARK_RELEASED: Final = """
WITH released AS (DELETE FROM outbox WHERE request_id = $1 AND attempt = $2)
UPDATE requests SET moved_at = now() WHERE request_id = $1
"""
INBOX_INSERT: Final = "INSERT INTO inbox (source, event_id, digest) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"
INBOX_FIND: Final = "SELECT 1 FROM inbox WHERE (source, event_id, digest) = ($1, $2, $3)"
AUDIT_RECORD: Final = "SELECT record_audit($1, $2, $3, $4)"
REQUEST_PROGRESS_FIND: Final = """
SELECT request_id, attempt, state, outcome, dataset_id, resource, tags,
       readable_date(from_date) AS from_date, readable_date(to_date) AS to_date
FROM requests WHERE request_id = $1
"""
REQUEST_PROGRESS_RECORD_DAY: Final = """
INSERT INTO request_days AS d (request_id, attempt, day, events, bytes) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (request_id, attempt, day) DO UPDATE SET events = EXCLUDED.events, bytes = EXCLUDED.bytes
WHERE (EXCLUDED.events, EXCLUDED.bytes) > (d.events, d.bytes)
"""
REQUEST_PROGRESS_MOVE: Final = """
UPDATE requests SET attempt = $2, state = $3::request_state, outcome = $4, moved_at = now(), ended_at = CASE
    WHEN $3::request_state NOT IN ('complete', 'failed') THEN NULL
    WHEN attempt = $2 AND state = $3::request_state THEN ended_at
    ELSE now() END
WHERE request_id = $1
"""
REQUEST_PROGRESS_LOCK_STUCK: Final = """
SELECT request_id, attempt FROM requests r
WHERE state IN ('submitted', 'inprogress') AND moved_at < now() - $1::interval AND parked_at IS NULL
  AND NOT EXISTS (SELECT FROM outbox o WHERE o.request_id = r.request_id)
ORDER BY moved_at LIMIT 100 FOR UPDATE SKIP LOCKED
"""
REQUEST_PROGRESS_START_NEXT_ATTEMPT: Final = """
UPDATE requests SET attempt = attempt + 1, state = 'submitted', moved_at = now() WHERE request_id = $1
"""
IDEMPOTENCY_KEYS_FORGET_EXPIRED: Final = """
DELETE FROM idempotency_keys WHERE user_id = $1 AND key = $2 AND created_at <= now() - $3::interval
"""
IDEMPOTENCY_KEYS_TAKE: Final = """
INSERT INTO idempotency_keys (user_id, key, fingerprint, request_id) VALUES ($1, $2, $3, $4)
ON CONFLICT DO NOTHING
"""
IDEMPOTENCY_KEYS_FIND: Final = "SELECT fingerprint, request_id FROM idempotency_keys WHERE user_id = $1 AND key = $2"
IDEMPOTENCY_KEYS_POINT_TO: Final = "UPDATE idempotency_keys SET request_id = $3 WHERE user_id = $1 AND key = $2"
IDEMPOTENCY_KEYS_SWEEP: Final = """
DELETE FROM idempotency_keys WHERE (user_id, key) IN (
    SELECT user_id, key FROM idempotency_keys WHERE user_id = $1 AND created_at <= now() - $2::interval
    ORDER BY created_at LIMIT $3 FOR UPDATE SKIP LOCKED
)
"""
PARKED_REQUESTS_PARK: Final = """
UPDATE requests SET parked_at = now(), parked_reason = $2 WHERE request_id = $1 AND parked_at IS NULL
"""
PARKED_REQUESTS_RELEASE: Final = """
UPDATE requests SET parked_at = NULL, parked_reason = NULL, moved_at = now()
WHERE request_id = $1 AND parked_at IS NOT NULL
"""
PARKED_REQUESTS_LIST: Final = """
SELECT request_id, user_id, dataset_id, parked_at, parked_reason FROM requests
WHERE parked_at IS NOT NULL ORDER BY parked_at DESC LIMIT $1
"""
LICENSE_KEYS_AUTHENTICATE: Final = """
SELECT user_id, client_name, license_key_name, id, pepper_version FROM valid_license_keys
WHERE license_key_hash = ANY($1::bytea[])
"""
LICENSE_KEYS_RESTORE: Final = """
UPDATE license_keys SET license_key_hash = $2, pepper_version = $3 WHERE id = $1 AND pepper_version < $3 RETURNING id
"""
