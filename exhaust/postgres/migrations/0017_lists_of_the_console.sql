-- What the console lists is found by an index, however many rows there are. All of it may be there while processes of
-- the version before run.
CREATE INDEX requests_by_age ON requests (created_at, request_id);
-- 'cancelled' cannot be named in the transaction that adds it.
CREATE INDEX requests_ended_by_state ON requests (state, created_at, request_id)
    WHERE state NOT IN ('submitted', 'inprogress');
CREATE INDEX requests_by_days ON requests (to_date, from_date);

-- Causes are counted by the index alone, and the letters of one cause stand in it by age. A letter without a time is old.
DROP INDEX dead_letters_by_cause;
CREATE INDEX dead_letters_by_cause ON dead_letters (
    code, source, object, topic,
    (coalesce(written_at, timestamptz '-infinity')), kafka_partition, kafka_offset
) INCLUDE (state, written_at);
CREATE INDEX dead_letters_by_age ON dead_letters (
    (coalesce(written_at, timestamptz '-infinity')), kafka_partition, kafka_offset
);

CREATE INDEX audit_by_actor ON audit (actor, id);
CREATE INDEX audit_by_action ON audit (action, id);
CREATE INDEX audit_by_time ON audit USING brin (at); -- rows are appended in the order of their times
