-- An address as sent, which may be any text: null where it is none. Only what was read whole is cast, so that no
-- text raises an error or passes for an address that it is not. ::ffff:192.0.2.7 is the IPv4 address that it ends with.
CREATE FUNCTION usher_address(src text) RETURNS inet
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    -- No address is longer.
    WHEN octet_length(src) > 45 THEN NULL
    WHEN strpos(src, ':') = 0 THEN CASE
        WHEN src ~ (
            '^(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])\.(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])'
            || '\.(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])\.(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])$'
        ) THEN src::inet
    END
    WHEN strpos(src, '.') > 0 THEN CASE
        WHEN src ~* (
            '^::ffff:(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])\.(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])'
            || '\.(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])\.(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])$'
        ) THEN substr(src, 8)::inet
    END
    WHEN src ~* (
        '^(?:(?:[0-9a-f]{1,4}:){7}[0-9a-f]{1,4}|(?:[0-9a-f]{1,4}:){1,7}:'
        || '|(?:[0-9a-f]{1,4}:){1,6}:[0-9a-f]{1,4}|(?:[0-9a-f]{1,4}:){1,5}(?::[0-9a-f]{1,4}){1,2}'
        || '|(?:[0-9a-f]{1,4}:){1,4}(?::[0-9a-f]{1,4}){1,3}|(?:[0-9a-f]{1,4}:){1,3}(?::[0-9a-f]{1,4}){1,4}'
        || '|(?:[0-9a-f]{1,4}:){1,2}(?::[0-9a-f]{1,4}){1,5}|[0-9a-f]{1,4}:(?::[0-9a-f]{1,4}){1,6}'
        || '|:(?::[0-9a-f]{1,4}){1,7}|::)$'
    ) THEN src::inet
END;
