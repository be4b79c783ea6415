-- An id that was sent as text, where it is one: what strangers send must not fail a question.
CREATE FUNCTION usher_uuid(sent text) RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN sent ~* '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$' THEN sent::uuid
END;
