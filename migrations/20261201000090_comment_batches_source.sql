-- Where entries may come from by now.
COMMENT ON COLUMN batches.source IS 'webhook, hook, pull, import, observe, act, read or operation';
