-- A partner is its resource: v1 and v3 may name only the hash of a partner that v2 names by its plain id. Limits, turns and
-- the sharing of identical requests go by the resource. The gateways of version 0.1.0 must be stopped before this: they
-- insert by the index that goes.
ALTER TABLE requests ADD COLUMN partner_resource text NOT NULL DEFAULT '';
DROP INDEX requests_open_intent;
CREATE UNIQUE INDEX requests_open_identical
    ON requests (user_id, partner_resource, dataset_id, resource, from_date, to_date, tags)
    WHERE state IN ('submitted', 'inprogress');
DROP INDEX requests_by_partner;
CREATE INDEX requests_by_partner_resource ON requests (partner_resource, created_at DESC, request_id DESC);
DROP INDEX requests_open_by_partner;
CREATE INDEX requests_open_by_partner_resource ON requests (partner_resource)
    WHERE state IN ('submitted', 'inprogress');

-- Far enough from Python's last year that a retention can be added.
CREATE OR REPLACE FUNCTION readable_time(timestamptz) RETURNS timestamptz LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
    $$ SELECT least(greatest($1, TIMESTAMPTZ '0001-01-02 00:00:00Z'), TIMESTAMPTZ '9000-01-01 00:00:00Z') $$;
