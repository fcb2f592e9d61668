-- Whether those in a meeting hear that it is recorded: 0 or 1; none: what the bridge says, and there: yes.
ALTER TABLE bridges ADD COLUMN recording_notice BIGINT;
ALTER TABLE organizers ADD COLUMN recording_notice BIGINT;
