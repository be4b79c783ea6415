-- Sessions of the console. A session stands for a console token: whose it is and what it may do is
-- looked up in the configuration at every request.
CREATE TABLE console_sessions (
    -- SHA-256 of the secret in the cookie.
    hash bytea PRIMARY KEY,
    -- SHA-256 of the console token.
    token_hash bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    seen_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX console_sessions_token_hash ON console_sessions (token_hash);
