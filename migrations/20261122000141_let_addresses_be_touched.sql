-- Trusted senders name people by an address. What is to be looked for is the id of the row of subjects
-- that holds it: the address itself stays there.
ALTER TABLE touched_objects
    DROP CONSTRAINT touched_objects_kind_check,
    ADD CONSTRAINT touched_objects_kind_check CHECK (kind IN ('team', 'application', 'address'));
COMMENT ON COLUMN touched_objects.kind IS 'What it is: the members of a team, the registrations of an application, whoever has an address that a sender told';
COMMENT ON COLUMN touched_objects.object_id IS 'Which one; of an address, the row of subjects that holds it';
