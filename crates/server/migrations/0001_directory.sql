-- The directory: who may hold meetings, on which numbers, and the meetings themselves. The statements are plain enough for SQLite
-- and PostgreSQL alike: TEXT and BIGINT only; a switch is 0 or 1, a moment is text as in RFC 3339 with an offset, a list is
-- separated by semicolons. What the values mean, and which are allowed, stands in docs/directory.md; the bridge checks them.

-- Raised by every change, so that running bridges see that there is something to read.
CREATE TABLE directory_version (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    version BIGINT NOT NULL
);
INSERT INTO directory_version (id, version) VALUES (1, 0);

CREATE TABLE bridges (
    tenant TEXT PRIMARY KEY,
    name TEXT,
    default_service_number TEXT,
    country_code TEXT,
    international_prefix TEXT,
    national_prefix TEXT,
    communications_credits BIGINT,
    global_policy TEXT,
    dial_out_policy TEXT,
    usage_location TEXT
);

CREATE TABLE numbers (
    number TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    kind TEXT,
    tenant TEXT,
    languages TEXT,
    suspended BIGINT
);

CREATE TABLE organizers (
    id TEXT PRIMARY KEY,
    tenant TEXT NOT NULL,
    license TEXT NOT NULL,
    policy TEXT,
    groups_of TEXT,
    service_number TEXT,
    toll_free_service_number TEXT,
    allow_toll_free_dial_in BIGINT,
    allow_anonymous_users_to_dial_out BIGINT,
    pin_hash TEXT,
    allow_pstn_users_to_bypass_lobby BIGINT,
    allow_anonymous_users_to_start_meeting BIGINT,
    entry_exit_announcements TEXT,
    dial_out_policy TEXT,
    usage_location TEXT
);

CREATE TABLE meetings (
    conference_id TEXT PRIMARY KEY,
    organizer TEXT NOT NULL,
    subject TEXT,
    starts TEXT,
    ends TEXT,
    expires TEXT,
    capacity BIGINT,
    locked BIGINT,
    allow_pstn_users_to_bypass_lobby BIGINT,
    allow_anonymous_users_to_start_meeting BIGINT,
    end_when_organizer_leaves BIGINT
);
CREATE INDEX meetings_of_organizer ON meetings (organizer);
