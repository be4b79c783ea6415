-- Registrations: an application asks for an API. The developer is the owner of the application.
CREATE TABLE directory_registrations (
    portal_id uuid NOT NULL,
    registration_id uuid NOT NULL,
    application_id uuid NOT NULL,
    status text NOT NULL,
    api_id uuid NOT NULL,
    api_name text NOT NULL,
    api_version text,
    api_entity_type text,
    api_created_at timestamptz,
    api_updated_at timestamptz,
    look bigint NOT NULL,
    revision bigint NOT NULL CHECK (revision > 0),
    first_seen_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    gone_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (portal_id, registration_id)
);
COMMENT ON TABLE directory_registrations IS 'Registrations as the API last showed them';
COMMENT ON COLUMN directory_registrations.portal_id IS 'Its portal';
COMMENT ON COLUMN directory_registrations.registration_id IS 'Id in Konnect';
COMMENT ON COLUMN directory_registrations.application_id IS 'The application that asks';
COMMENT ON COLUMN directory_registrations.status IS 'approved, pending, revoked, rejected, or a word that came later';
COMMENT ON COLUMN directory_registrations.api_id IS 'The API asked for';
COMMENT ON COLUMN directory_registrations.api_name IS 'Its name';
COMMENT ON COLUMN directory_registrations.api_version IS 'Its version, where it has one';
COMMENT ON COLUMN directory_registrations.api_entity_type IS 'api or api_package, where the API says';
COMMENT ON COLUMN directory_registrations.api_created_at IS 'Creation as the API says';
COMMENT ON COLUMN directory_registrations.api_updated_at IS 'Last change as the API says; alone it is no difference';
COMMENT ON COLUMN directory_registrations.look IS 'Number of the look that last wrote the row; an older look writes nothing';
COMMENT ON COLUMN directory_registrations.revision IS 'Grows by one with every difference';
COMMENT ON COLUMN directory_registrations.first_seen_at IS 'When a look first showed it';
COMMENT ON COLUMN directory_registrations.last_seen_at IS 'When a look last showed it';
COMMENT ON COLUMN directory_registrations.gone_at IS 'When its absence was certain; null while it is there';
COMMENT ON COLUMN directory_registrations.created_at IS 'When the row was written';

CREATE INDEX directory_registrations_application ON directory_registrations (portal_id, application_id);
CREATE INDEX directory_registrations_pending ON directory_registrations (portal_id)
WHERE status = 'pending' AND gone_at IS NULL;
