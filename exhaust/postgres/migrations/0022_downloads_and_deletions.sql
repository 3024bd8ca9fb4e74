-- When an act on a request was last written to the audit: it is written again only after a while, whichever process asks.
CREATE TABLE audited_downloads (
    request_id  uuid NOT NULL REFERENCES requests ON DELETE CASCADE,
    user_id     bigint NOT NULL,
    attempt     integer NOT NULL,
    action      text NOT NULL,
    part        text NOT NULL DEFAULT '',
    recorded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (request_id, user_id, attempt, action, part)
);
