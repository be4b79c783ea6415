-- How long an action was kept from being done by trouble that is not its own.
ALTER TABLE actions ADD COLUMN trouble interval NOT NULL DEFAULT '0';
ALTER TABLE actions ADD COLUMN outlasted integer NOT NULL DEFAULT 0;
COMMENT ON COLUMN actions.outlasted IS 'Attempts that met such trouble: they do not count against the deed';
COMMENT ON COLUMN actions.trouble IS
    'Sum of the waits for an API or a network in trouble; deeds that give fail after seven days of it';
