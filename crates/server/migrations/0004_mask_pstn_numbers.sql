-- Who does not learn the telephone numbers of others: external, all or none; none given: external.
ALTER TABLE bridges ADD COLUMN mask_pstn_numbers TEXT;
