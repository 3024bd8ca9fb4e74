-- Partners and datasets whose requests wait in the outbox until an operator resumes them. Gateways of the version before
-- do not look at it: pause nothing before the last of them has ended.
CREATE TABLE pauses (
    kind   text NOT NULL CHECK (kind IN ('partner', 'dataset')),
    name   text NOT NULL, -- the resource id of a partner, or the own id of a dataset
    shown  text NOT NULL, -- as the operator named it
    reason text NOT NULL,
    actor  text NOT NULL,
    since  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (kind, name)
);

-- Failed requests by their cause.
CREATE INDEX requests_failed_by_cause ON requests ((outcome->>'code'), (outcome->>'object')) WHERE state = 'failed';
