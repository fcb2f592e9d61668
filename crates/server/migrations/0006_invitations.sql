-- The numbers on an organizer's invitations in their order, separated by semicolons, and under which name a bridge's public list
-- of numbers is found.
ALTER TABLE organizers ADD COLUMN meeting_invite_phone_numbers TEXT;
ALTER TABLE bridges ADD COLUMN public_id TEXT;
