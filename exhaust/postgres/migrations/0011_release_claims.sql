-- Until when a gateway publishes a request that waits in the outbox; then another one does it in its place. Gateways of
-- the version before do not look at it: what they publish a second time counts once.
ALTER TABLE outbox ADD COLUMN claimed_until timestamptz;
