-- Sessions of the console. A session stands for a console token: whose it is and what it may do is
-- looked up in the configuration at every request.
CREATE TABLE console_sessions (
    hash bytea PRIMARY KEY,
    token_hash bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    seen_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX console_sessions_token_hash ON console_sessions (token_hash);

COMMENT ON TABLE console_sessions IS 'Browsers that are signed in to the console.';
COMMENT ON COLUMN console_sessions.hash IS 'SHA-256 of the secret in the cookie.';
COMMENT ON COLUMN console_sessions.token_hash IS 'SHA-256 of the console token that it stands for.';
COMMENT ON COLUMN console_sessions.created_at IS 'When somebody signed in.';
COMMENT ON COLUMN console_sessions.seen_at IS 'When it was last used, to about a minute.';
