//! WHO the peer is: operator SBCs and the Microsoft PSTN gateway as data plus small policies.
