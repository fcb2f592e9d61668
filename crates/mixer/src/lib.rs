//! HOW it sounds: RTP in, RTP out, one conference at a time.
