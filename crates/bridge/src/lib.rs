//! WHY: the focus. Conferences, participants, attendant, dial-out.
