-- People whom a deed of usher's changed and whom no list of pending ones shows: the next looks read
-- them by their id, so that rules do not decide by what was before.
CREATE TABLE touched_developers (
    portal_id uuid NOT NULL,
    developer_id uuid NOT NULL,
    after_look bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (portal_id, developer_id)
);
COMMENT ON TABLE touched_developers IS 'People to be read again by their id';
COMMENT ON COLUMN touched_developers.portal_id IS 'The portal';
COMMENT ON COLUMN touched_developers.developer_id IS 'Who was changed';
COMMENT ON COLUMN touched_developers.after_look IS 'Number of the latest look at that time: only a later one shows the change';
COMMENT ON COLUMN touched_developers.created_at IS 'When the row was written';
