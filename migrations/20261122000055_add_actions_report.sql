-- What a deed of many writes has done so far: written before each of them, so that a crash neither
-- loses the account nor repeats a write. Old code ignores the column.
ALTER TABLE actions ADD COLUMN report jsonb;
COMMENT ON COLUMN actions.report IS 'What the deed cut off or made, by id; no name and no e-mail address';
