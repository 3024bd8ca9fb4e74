-- Whether the owner that a grant names is a partner or a channel; their plain ids look alike.
ALTER TABLE data_exhaust_users_resources ADD COLUMN owner_kind text CHECK (owner_kind IN ('partner', 'channel'));
