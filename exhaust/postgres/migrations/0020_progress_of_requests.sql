-- When a request moved from stage to stage in its present attempt, for forecasts and the console's timeline; and the place
-- in its partner's line that callers were last told, which never rises. Processes of the version before leave them empty.
ALTER TABLE requests
    ADD COLUMN released_at timestamptz,  -- by the relay
    ADD COLUMN planned_at timestamptz,   -- when it was first reported as split into days
    ADD COLUMN first_day_at timestamptz, -- when its first day was reported as finished
    ADD COLUMN last_day_at timestamptz,  -- when its last day was
    ADD COLUMN told_position integer;
