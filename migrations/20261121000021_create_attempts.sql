-- Every attempt at an action that counted. Holds no secret, no body and no e-mail address.
CREATE TABLE attempts (
    action uuid NOT NULL REFERENCES actions (id) ON DELETE CASCADE,
    number integer NOT NULL,
    started_at timestamptz NOT NULL,
    ended_at timestamptz NOT NULL,
    request text,
    status smallint,
    outcome text NOT NULL,
    detail text,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (action, number)
);
COMMENT ON TABLE attempts IS 'What was tried for an action, and how it went';
COMMENT ON COLUMN attempts.action IS 'The action';
COMMENT ON COLUMN attempts.number IS 'From 1';
COMMENT ON COLUMN attempts.started_at IS 'When the worker began';
COMMENT ON COLUMN attempts.ended_at IS 'When its outcome was known';
COMMENT ON COLUMN attempts.request IS 'Method and path template of the write, or of the call that failed; null if nothing was called for';
COMMENT ON COLUMN attempts.status IS 'HTTP status of a call that failed, if there was an answer';
COMMENT ON COLUMN attempts.outcome IS 'ok, or the class of error in snake_case';
COMMENT ON COLUMN attempts.detail IS 'What was found, for a person';
COMMENT ON COLUMN attempts.created_at IS 'When the row was written';
