-- `report_principals_by_who` is in its place. A log-in more of the same day changes its row in place (HOT) where the page has room.
ALTER TABLE report_principals SET (fillfactor = 70);
DROP INDEX report_principals_signed_in;
