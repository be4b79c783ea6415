-- Whoever lifts a veto may say why, as whoever made it. Old code ignores the column.
ALTER TABLE vetoes ADD COLUMN lift_reason text;
COMMENT ON COLUMN vetoes.lift_reason IS 'Why it was taken back, in their words';
