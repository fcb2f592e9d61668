//! Who is in the demo: names, colors, numbers. Numbers are from ranges reserved for fiction.

use crate::plot::Color;

/// One person.
#[derive(Clone, Copy, Debug)]
pub struct Role {
    /// First name, and the stem of the voice's file.
    pub name: &'static str,
    /// As a display name.
    pub display: &'static str,
    /// Telephone number.
    pub number: &'static str,
    /// Color in pictures.
    pub color: Color,
}

/// One meeting.
#[derive(Clone, Copy, Debug)]
pub struct Meeting {
    /// In pictures and tables.
    pub name: &'static str,
    /// The conference ID.
    pub id: &'static str,
    /// Whose license decides.
    pub organizer: &'static str,
    /// That license, in words.
    pub license: &'static str,
    /// Tint in pictures.
    pub tint: Color,
}

/// Indexes into [`PEOPLE`].
pub const ALICE: usize = 0;
/// See [`ALICE`].
pub const BOB: usize = 1;
/// See [`ALICE`].
pub const CAROL: usize = 2;
/// See [`ALICE`].
pub const DAVE: usize = 3;
/// See [`ALICE`].
pub const ERIN: usize = 4;

/// Everybody, in the order of lanes and rows.
pub const PEOPLE: [Role; 5] = [
    Role { name: "alice", display: "Alice", number: "+493023125001", color: Color::hex(0x00d9_574f) },
    Role { name: "bob", display: "Bob", number: "+494066969002", color: Color::hex(0x003f_7fd0) },
    Role { name: "carol", display: "Carol", number: "+12065550103", color: Color::hex(0x0035_a06b) },
    Role { name: "dave", display: "Dave", number: "+494066969004", color: Color::hex(0x00e0_a030) },
    Role { name: "erin", display: "Erin", number: "+12065550142", color: Color::hex(0x009a_63c8) },
];

/// Index of the first meeting.
pub const PLANNING: usize = 0;
/// Index of the second meeting.
pub const OPERATIONS: usize = 1;

/// The meetings of `config/demo.toml`.
pub const MEETINGS: [Meeting; 2] = [
    Meeting {
        name: "planning",
        id: "123456782",
        organizer: "greta",
        license: "Operator Connect Conferencing",
        tint: Color::hex(0x002f_5d8c),
    },
    Meeting {
        name: "operations",
        id: "205117394",
        organizer: "sam",
        license: "Audio Conferencing Standard",
        tint: Color::hex(0x008c_5a2f),
    },
];

/// The service number that the operator provides.
pub const OPERATOR_NUMBER: &str = "+496990009100";
/// The service number that Microsoft provides.
pub const MICROSOFT_NUMBER: &str = "+14255550100";
/// The trunks of `config/demo.toml`.
pub const OPERATOR_TRUNK: &str = "rhein-telecom";
/// See [`OPERATOR_TRUNK`].
pub const MICROSOFT_TRUNK: &str = "microsoft";
