-- Promises to look at what signals tell, kept until every rule set that runs has judged them: no instance
-- strikes off what another one, with other rules, would have answered.
CREATE TABLE work (
    id uuid PRIMARY KEY,
    portal_id uuid NOT NULL,
    matter text NOT NULL CHECK (matter IN ('signal', 'developer', 'portal')),
    signal text NOT NULL,
    key text NOT NULL,
    cause uuid NOT NULL,
    wanted bigint NOT NULL DEFAULT 0,
    judged text[] NOT NULL DEFAULT '{}',
    failures integer NOT NULL DEFAULT 0,
    due_at timestamptz NOT NULL DEFAULT now(),
    lease uuid,
    leased_until timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (portal_id, matter, signal, key),
    CHECK ((matter = 'signal') = (signal <> ''))
);
COMMENT ON TABLE work IS 'What rules are to judge and have not all judged yet';
COMMENT ON COLUMN work.id IS 'UUIDv7 of the first promise';
COMMENT ON COLUMN work.portal_id IS 'Where';
COMMENT ON COLUMN work.matter
IS 'signal: what an event tells; developer: what one waits for; portal: what everybody there waits for';
COMMENT ON COLUMN work.signal IS 'Kind of the signal; empty for other matters';
COMMENT ON COLUMN work.key IS 'Key of the signal, or id of the developer; empty for a portal';
COMMENT ON COLUMN work.cause IS 'Event that led here last';
COMMENT ON COLUMN work.wanted IS 'Counts further promises: who claimed fewer has not judged the last one';
COMMENT ON COLUMN work.judged IS 'Rule sets that have judged it, by their fingerprints';
COMMENT ON COLUMN work.failures IS 'Times that it could not be judged';
COMMENT ON COLUMN work.due_at IS 'Not to be judged before';
COMMENT ON COLUMN work.lease IS 'The claim of the instance that judges it';
COMMENT ON COLUMN work.leased_until IS 'When the claim of a crashed instance ends, by the database''s clock';
COMMENT ON COLUMN work.created_at IS 'When it was first promised';

CREATE INDEX work_due ON work (due_at, id);
-- What is told to whoever runs usher.
CREATE INDEX work_failing ON work (id) WHERE failures > 0;

-- What rule sets listen to, so that whoever reads the outbox keeps that and nothing else: of a million
-- log-ins a day those that no rule answers are not written down.
CREATE TABLE rule_sets (
    rule_set text PRIMARY KEY,
    signals text[] NOT NULL,
    max_age interval,
    seen_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE rule_sets IS 'Rule sets that instances had in force within a week';
COMMENT ON COLUMN rule_sets.rule_set IS 'Fingerprint of the rules file';
COMMENT ON COLUMN rule_sets.signals IS 'Kinds of signals that its rules answer';
COMMENT ON COLUMN rule_sets.max_age IS 'Oldest event that one of them answers as its own evidence; null where none does';
COMMENT ON COLUMN rule_sets.seen_at IS 'When an instance last said that it has it in force';

ALTER TABLE rule_holders ADD COLUMN rule_set text;
COMMENT ON COLUMN rule_holders.rule_set IS 'Fingerprint of its rules file; null for an instance from before there were any';

ALTER TABLE actions ADD COLUMN wanted integer NOT NULL DEFAULT 0;
COMMENT ON COLUMN actions.wanted
IS 'Counts how often it was asked for while a worker had it: one that claimed fewer must not end it as unwanted';
