-- What trusted senders told, by the hash of source and id: the same again is known by it. Upkeep
-- deletes rows with the actions of their time.
CREATE TABLE custom_ids (
    key bytea PRIMARY KEY,
    content bytea NOT NULL,
    sender text NOT NULL,
    received_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE custom_ids IS 'Ids of custom events, so that each is stored once';
COMMENT ON COLUMN custom_ids.key IS 'SHA-256 of source and id: a sender may write personal data into either';
COMMENT ON COLUMN custom_ids.content IS 'HMAC of the event by the sender''s secret: tells whether a repetition says the same';
COMMENT ON COLUMN custom_ids.sender IS 'Name of the sender as configured';
COMMENT ON COLUMN custom_ids.received_at IS 'When it was taken in';
COMMENT ON COLUMN custom_ids.created_at IS 'When the transaction began';

-- What upkeep may delete, oldest first.
CREATE INDEX custom_ids_received_at ON custom_ids (received_at);
