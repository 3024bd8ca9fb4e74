-- What the aggregators built for each user on a day of UTC; a quota limits it. A row is written when the first day of
-- telemetry is built, and deleted a few days later.
CREATE TABLE key_usage (
    user_id     bigint NOT NULL REFERENCES data_exhaust_users ON DELETE CASCADE,
    day         date NOT NULL,
    days_built  bigint NOT NULL,
    bytes_built bigint NOT NULL,
    PRIMARY KEY (user_id, day)
) WITH (fillfactor = 50); -- each day that is built updates a row: room for it on the same page
CREATE INDEX key_usage_by_day ON key_usage (day);
