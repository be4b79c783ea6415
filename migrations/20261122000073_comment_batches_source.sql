-- A batch may come from a trusted sender.
COMMENT ON COLUMN batches.source IS 'webhook, hook, observe or act';
