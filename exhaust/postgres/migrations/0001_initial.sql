-- Who may ask. The key itself is never stored: license_key_hash is HMAC-SHA-256 under the pepper of that version.
CREATE TABLE data_exhaust_users (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    client_name      text NOT NULL,
    license_key_name text NOT NULL,
    license_key_hash bytea NOT NULL UNIQUE,
    pepper_version   integer NOT NULL,
    created_at       timestamptz NOT NULL DEFAULT now(),
    revoked_at       timestamptz,
    UNIQUE (client_name, license_key_name)
);

-- What each may read. A row is written by `exhaust grant`, or by hand: user_id and resource_id are enough.
-- dataset_id narrows the grant to one dataset, expires_at ends it.
CREATE TABLE data_exhaust_users_resources (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id     bigint NOT NULL REFERENCES data_exhaust_users,
    resource_id text NOT NULL CHECK (resource_id ~ '^[A-Za-z0-9._-]{1,128}$'),
    dataset_id  text,
    expires_at  timestamptz,
    created_at  timestamptz NOT NULL DEFAULT now(),
    -- Rows written by hand may hold any form of a SHA-1; this is telemetry.resource_ids.canonical_resource_id.
    resource    text NOT NULL GENERATED ALWAYS AS (
        CASE
            WHEN resource_id ~ '^[0-9A-Fa-f]{33,40}$' THEN left(lpad(lower(resource_id), 40, '0'), 32)
            WHEN resource_id ~ '^[0-9A-Fa-f]{32}$' THEN lower(resource_id)
            ELSE resource_id
        END
    ) STORED,
    UNIQUE NULLS NOT DISTINCT (user_id, resource, dataset_id)
);

CREATE TYPE request_state AS ENUM ('submitted', 'inprogress', 'failed', 'complete');

CREATE TABLE requests (
    request_id     uuid PRIMARY KEY,
    user_id        bigint NOT NULL REFERENCES data_exhaust_users,
    partner_id     text NOT NULL,
    username       text NOT NULL,
    dataset_id     text NOT NULL,
    resource       text NOT NULL,
    from_date      date NOT NULL,
    to_date        date NOT NULL,
    tags           text[] NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT now(),
    synchronous    boolean NOT NULL DEFAULT false,      -- somebody holds the line
    state          request_state NOT NULL DEFAULT 'submitted',
    attempt        integer NOT NULL DEFAULT 1,
    moved_at       timestamptz NOT NULL DEFAULT now(),  -- last sign of progress
    days_total     integer,
    ended_at       timestamptz,                         -- when the state became terminal
    outcome        jsonb                                -- the archive of a complete request, the error of a failed one
);

-- An identical request still in progress is returned rather than repeated.
CREATE UNIQUE INDEX requests_open_intent
    ON requests (user_id, dataset_id, resource, from_date, to_date, tags)
    WHERE state IN ('submitted', 'inprogress');
CREATE INDEX requests_unfinished ON requests (moved_at) WHERE state IN ('submitted', 'inprogress');
CREATE INDEX requests_by_partner ON requests (partner_id, created_at DESC, request_id DESC);

-- Where an accepted request waits until the relay releases it to Kafka. A row leaves when Kafka has it.
CREATE TABLE outbox (
    request_id  uuid NOT NULL REFERENCES requests,
    attempt     integer NOT NULL,
    traceparent text NOT NULL DEFAULT '',
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (request_id, attempt)
);

-- Finished days of an attempt: the honest progress.
CREATE TABLE request_days (
    request_id uuid NOT NULL REFERENCES requests,
    attempt    integer NOT NULL,
    day        date NOT NULL,
    events     bigint NOT NULL,
    bytes      bigint NOT NULL,
    PRIMARY KEY (request_id, attempt, day)
);

-- Completion events that were taken in, so that each counts once.
CREATE TABLE inbox (
    source      text NOT NULL,
    event_id    text NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (source, event_id)
);

-- Who did what, when. Appended to, never changed: the runtime role may neither update nor delete.
CREATE TABLE audit (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at      timestamptz NOT NULL DEFAULT now(),
    actor   text NOT NULL,
    action  text NOT NULL,
    subject text NOT NULL,
    detail  jsonb NOT NULL DEFAULT '{}'
);
