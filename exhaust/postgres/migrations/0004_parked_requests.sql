-- A request that the relay or the reaper cannot handle is parked, so that it stops nobody else; operators release it.
ALTER TABLE requests
    ADD COLUMN parked_at     timestamptz,
    ADD COLUMN parked_reason text;
CREATE INDEX requests_parked ON requests (parked_at) WHERE parked_at IS NOT NULL;

-- PostgreSQL also stores infinite dates and times, and some before Christ and behind the year 9999. Python cannot read
-- them, and a subtraction of infinite dates is an error: one such row would fail each query that meets it. These functions
-- give the nearest value that can be read.
CREATE FUNCTION readable_date(date) RETURNS date LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
    $$ SELECT least(greatest($1, DATE '0001-01-01'), DATE '9999-12-31') $$;
CREATE FUNCTION readable_time(timestamptz) RETURNS timestamptz LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
    $$ SELECT least(greatest($1, TIMESTAMPTZ '0001-01-02 00:00:00Z'), TIMESTAMPTZ '9999-12-30 00:00:00Z') $$;
