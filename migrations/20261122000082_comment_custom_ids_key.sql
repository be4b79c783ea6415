-- No sender may use up the ids of another.
COMMENT ON COLUMN custom_ids.key IS 'SHA-256 of sender, source and id: a sender may write personal data into these';
