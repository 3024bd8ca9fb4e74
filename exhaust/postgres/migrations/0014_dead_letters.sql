-- What lies on the topic dataset.dead-letters, by its place there. The bytes stay in Kafka.
CREATE TABLE dead_letters (
    kafka_partition  integer NOT NULL,
    kafka_offset     bigint NOT NULL,
    written_at       timestamptz,
    topic            text NOT NULL,           -- of the record that became a dead letter; '' when it does not say
    record_partition integer,
    record_offset    bigint,
    consumer_group   text NOT NULL,
    code             text NOT NULL,
    pointer          text NOT NULL,
    error            text NOT NULL,
    source           text NOT NULL,           -- ce_source, which whoever sent the record has chosen
    request_id       uuid,
    object           text NOT NULL DEFAULT '', -- the source object that it is about
    size             bigint NOT NULL,         -- of the value, before anything was cut off
    digest           bytea NOT NULL,          -- SHA-256 of the value that lies in Kafka
    truncated        text NOT NULL,           -- the parts that were cut; '' for none
    replays          integer NOT NULL,        -- how often the record was redriven before
    state            text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'sending', 'redriven')),
    claimed_until    timestamptz,             -- while it is sending: until when one run has it in hand
    search_from      jsonb,                   -- likewise: ends of the target topic's partitions before it was sent
    moved_at         timestamptz,             -- when the state last changed
    PRIMARY KEY (kafka_partition, kafka_offset)
);
CREATE INDEX dead_letters_by_cause ON dead_letters (code, source, object);
CREATE INDEX dead_letters_by_record ON dead_letters (topic, record_partition, record_offset);
CREATE INDEX dead_letters_by_request ON dead_letters (request_id) WHERE request_id IS NOT NULL;
