-- Whether callers are asked for their names, where names are said: 0 or 1; none given: yes.
ALTER TABLE bridges ADD COLUMN enable_name_recording BIGINT;
