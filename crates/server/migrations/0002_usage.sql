-- Usage records, as the spool has them: each once, whatever crashed on the way. The columns are for whoever asks; `record` is the
-- whole of it, and what bills is in there (docs/usage-records.md).
CREATE TABLE usage_records (
    record_id TEXT PRIMARY KEY,
    usage_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    node TEXT NOT NULL,
    written TEXT,
    call_type TEXT,
    trunk TEXT,
    tenant TEXT,
    organizer TEXT,
    license TEXT,
    biller TEXT,
    number_owner TEXT,
    service_number TEXT,
    caller TEXT,
    destination TEXT,
    conference_id TEXT,
    invite_time TEXT,
    answer_time TEXT,
    end_time TEXT,
    result TEXT,
    duration_ms BIGINT,
    billed_seconds BIGINT,
    record TEXT NOT NULL
);
CREATE INDEX usage_records_of_leg ON usage_records (usage_id);
CREATE INDEX usage_records_by_time ON usage_records (written);
CREATE UNIQUE INDEX usage_records_final ON usage_records (usage_id) WHERE kind = 'final';

-- How far each file of a spool has been taken, written together with the records. A file is known by its first record: it changes its
-- name when it is put aside.
CREATE TABLE usage_files (
    first_record TEXT PRIMARY KEY,
    node TEXT NOT NULL,
    taken BIGINT NOT NULL
);
