-- What became of an event, whatever its kind: one definition for searches, rollups and reports.
CREATE FUNCTION usher_outcome(success boolean, granted boolean, status integer) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE COALESCE(success, granted, status < 400)
    WHEN true THEN 'success'
    WHEN false THEN 'failure'
    ELSE 'unknown'
END;
