-- How looking at each portal goes. Hints and looks are counted, not timed, so that neither a wrong
-- clock nor a hint during a look can lose one.
CREATE TABLE observed_portals (
    portal_id uuid PRIMARY KEY,
    looks bigint NOT NULL DEFAULT 0,
    hints bigint NOT NULL DEFAULT 0,
    hints_answered bigint NOT NULL DEFAULT 0,
    first_complete_at timestamptz,
    pending_at timestamptz,
    all_at timestamptz,
    last_error text,
    last_error_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE observed_portals IS 'State of the looks at each portal';
COMMENT ON COLUMN observed_portals.portal_id IS 'The portal';
COMMENT ON COLUMN observed_portals.looks IS 'Looks begun; the number of the latest';
COMMENT ON COLUMN observed_portals.hints IS 'Hints ever given; those not yet answered are one';
COMMENT ON COLUMN observed_portals.hints_answered IS 'Hints given before the last look that was stored began';
COMMENT ON COLUMN observed_portals.first_complete_at IS 'When everything was first seen; before that only the pending ones are news';
COMMENT ON COLUMN observed_portals.pending_at IS 'When the last look at the pending ones was stored';
COMMENT ON COLUMN observed_portals.all_at IS 'When the last look at everything was stored';
COMMENT ON COLUMN observed_portals.last_error IS 'Why the last look failed; null after a good one';
COMMENT ON COLUMN observed_portals.last_error_at IS 'When it failed';
COMMENT ON COLUMN observed_portals.created_at IS 'When the row was written';
