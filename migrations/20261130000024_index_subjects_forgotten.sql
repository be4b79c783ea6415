-- Who was forgotten is not counted by name; there are few.
CREATE INDEX subjects_forgotten ON subjects (developer_id) WHERE forgotten_at IS NOT NULL;
