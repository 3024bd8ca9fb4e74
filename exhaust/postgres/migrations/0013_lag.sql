-- What the console saw of each stage, a row in 15 s, for 48 h: forecasts and charts, and what one look cannot tell.
CREATE TABLE stage_samples (
    at        timestamptz NOT NULL,
    stage     text NOT NULL,
    messages  bigint NOT NULL,
    work_days bigint,                      -- NULL where the stage has no days of work
    oldest    timestamptz,                 -- NULL when nothing waits
    done      bigint NOT NULL,             -- a counter
    detail    jsonb NOT NULL DEFAULT '{}', -- the rest, which only the console and exhaustctl read
    PRIMARY KEY (at, stage)
);

-- What each aggregator last told of itself.
CREATE TABLE worker_beats (
    worker      text PRIMARY KEY,
    at          timestamptz NOT NULL,
    progress_at timestamptz,   -- when its bytes were last seen to grow
    beat        jsonb NOT NULL -- as in schemas/dataset.beats.schema.json
);
