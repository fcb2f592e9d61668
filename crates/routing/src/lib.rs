//! WHICH trunk may carry this leg: pure data to a decision, with its because.
