-- What the API said is not there though the directory has it, until it counts as gone or is seen again: an
-- API that is wrong for a moment, or a list that changes while it is read, is no proof of absence.
CREATE TABLE missed_objects (
    portal_id uuid NOT NULL,
    kind text NOT NULL CHECK (
        kind IN ('portal', 'developer', 'team', 'membership', 'application', 'registration')
    ),
    object_id uuid NOT NULL,
    parent_id uuid NOT NULL,
    is_unlisted boolean NOT NULL,
    missed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (portal_id, kind, object_id, parent_id)
);
COMMENT ON TABLE missed_objects IS 'What the API said is not there, until it counts as gone or is seen again';
COMMENT ON COLUMN missed_objects.portal_id IS 'The portal';
COMMENT ON COLUMN missed_objects.kind IS 'What it is';
COMMENT ON COLUMN missed_objects.object_id IS 'Which one; of a membership, the developer';
COMMENT ON COLUMN missed_objects.parent_id IS 'The team of a membership, the application of a registration; else the portal';
COMMENT ON COLUMN missed_objects.is_unlisted IS 'Whether a complete list lacked it, so that another read decides';
COMMENT ON COLUMN missed_objects.missed_at IS 'When a direct read first did not find it';
