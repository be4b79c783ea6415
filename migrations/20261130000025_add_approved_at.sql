-- When somebody who waited, or an application's registration, was seen to be approved. Unknown where it was approved
-- when it was first seen.
ALTER TABLE directory_developers ADD COLUMN approved_at timestamptz;
ALTER TABLE directory_registrations ADD COLUMN approved_at timestamptz;
COMMENT ON COLUMN directory_developers.approved_at IS 'When they were first seen to become approved; null where that was not seen';
COMMENT ON COLUMN directory_registrations.approved_at IS 'When it was first seen to become approved; null where that was not seen';
