-- What upkeep may delete, oldest first; next to nothing where no sender is configured.
CREATE INDEX subjects_told_at ON subjects (told_at)
WHERE told_at IS NOT NULL;
