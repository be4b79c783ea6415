-- Teams and applications that somebody changed by hand, as Konnect's logs tell: the next looks read
-- them by their id, with what no list of pending ones shows of them. People are in touched_developers.
CREATE TABLE touched_objects (
    portal_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('team', 'application')),
    object_id uuid NOT NULL,
    after_look bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (portal_id, kind, object_id)
);
COMMENT ON TABLE touched_objects IS 'Teams and applications to be read again by their id';
COMMENT ON COLUMN touched_objects.portal_id IS 'The portal';
COMMENT ON COLUMN touched_objects.kind IS 'What it is: the members of a team, the registrations of an application';
COMMENT ON COLUMN touched_objects.object_id IS 'Which one was changed';
COMMENT ON COLUMN touched_objects.after_look IS 'Number of the latest look at that time: only a later one shows the change';
COMMENT ON COLUMN touched_objects.created_at IS 'When the row was written';
