-- Two more things that a deed can be about: somebody who is to be invited, and the portal itself
-- where a notice names nobody. Only rules that ask for such deeds write such rows.
ALTER TABLE actions
DROP CONSTRAINT actions_target_kind_check,
ADD CONSTRAINT actions_target_kind_check CHECK (
    target_kind IN ('developer', 'application', 'registration', 'invitee', 'portal')
);
COMMENT ON COLUMN actions.target_id IS 'Id of the developer, application, registration or portal; of an invitee, the id in subjects';
