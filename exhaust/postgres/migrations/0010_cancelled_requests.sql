-- A request can be cancelled. Version 0.2.0 knows no such state: cancel nothing before the last of its processes has ended.
ALTER TYPE request_state ADD VALUE 'cancelled';

-- Cancelled attempts that the aggregators have not been told of yet. A row leaves when the object that tells them is
-- written.
CREATE TABLE cancel_markers (
    request_id   uuid NOT NULL REFERENCES requests ON DELETE CASCADE,
    attempt      integer NOT NULL,
    cancelled_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (request_id, attempt)
);
