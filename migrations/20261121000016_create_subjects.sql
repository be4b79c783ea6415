-- The only place of personal data. `usher forget` empties a row and keeps it, so that the next look
-- does not fill it again.
CREATE TABLE subjects (
    portal_id uuid NOT NULL,
    developer_id uuid NOT NULL,
    email text,
    full_name text,
    forgotten_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (portal_id, developer_id)
);
COMMENT ON TABLE subjects IS 'E-mail and name of developers';
COMMENT ON COLUMN subjects.portal_id IS 'Portal of the developer';
COMMENT ON COLUMN subjects.developer_id IS 'Id in Konnect';
COMMENT ON COLUMN subjects.email IS 'Address as the API last said; null once forgotten';
COMMENT ON COLUMN subjects.full_name IS 'Name as the API last said; null once forgotten';
COMMENT ON COLUMN subjects.forgotten_at IS 'When it was emptied on request';
COMMENT ON COLUMN subjects.created_at IS 'When the row was written';

-- Trusted senders may name somebody by address.
CREATE INDEX subjects_email ON subjects (portal_id, lower(email));
