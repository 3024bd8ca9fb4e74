-- Sign-ins at the portal by an issuer of tokens. Such a session has the token's subject beside a license key of the holder
-- that the subject is bound to, and ends with either; a gateway of the version before looks at the key alone.
ALTER TABLE portal_sessions
    ADD COLUMN issuer text,
    ADD COLUMN subject text,
    ADD CONSTRAINT portal_sessions_by_subject CHECK ((issuer IS NULL) = (subject IS NULL));
