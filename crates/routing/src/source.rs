//! The table as it is written in TOML: keys, defaults and places in the file, nothing checked yet.
//!
//! The key names are those of Microsoft's administration (`NumberPattern`, `OnlinePstnUsages`,
//! `BridgeSourcePhoneNumber`, ...) in snake case and without `Online`. Everything that can be wrong is kept as text
//! with its place, so that [`crate::Table::build`] can name all mistakes at once.

use crate::Spanned;
use crate::table::TableError;
use schemars::JsonSchema;
use serde::Deserialize;

/// Every routing section of a configuration: `[dial_out]`, `[[bridge]]`, `[[number]]`, `[[organizer]]`, `[[group_policy]]`,
/// `[[policy]]`, `[[route]]` and the key `global_policy`.
#[derive(Clone, Debug, Default, PartialEq, JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableSource {
    /// The policy of every organizer who has none of his own, by grant or by group. It catches every licensed user.
    #[serde(default)]
    pub global_policy: Option<Spanned<String>>,
    /// `[dial_out]`: what no meeting dials, whoever its organizer is.
    #[serde(default)]
    pub dial_out: DialOutSource,
    /// `[[bridge]]`: one per tenant.
    #[serde(default, rename = "bridge")]
    pub bridges: Vec<BridgeSource>,
    /// `[[number]]`: the service numbers.
    #[serde(default, rename = "number")]
    pub numbers: Vec<NumberSource>,
    /// `[[organizer]]`: whose license and policy decide.
    #[serde(default, rename = "organizer")]
    pub organizers: Vec<OrganizerSource>,
    /// `[[group_policy]]`: a policy granted to a group.
    #[serde(default, rename = "group_policy")]
    pub group_policies: Vec<GroupPolicySource>,
    /// `[[policy]]`: usages in order.
    #[serde(default, rename = "policy")]
    pub policies: Vec<PolicySource>,
    /// `[[route]]`: voice routes.
    #[serde(default, rename = "route")]
    pub routes: Vec<RouteSource>,
}

impl TableSource {
    /// Reads a document that holds routing sections only (tests, `explain`, fuzzing). A syntax error, an unknown key
    /// or a value of the wrong type is the one error returned.
    pub fn from_toml(document: &str) -> Result<Self, TableError> {
        toml::from_str(document).map_err(|error| TableError {
            span: error.span(),
            key: "routing".to_owned(),
            found: error
                .span()
                .and_then(|span| document.get(span))
                .map_or_else(String::new, |found| found.chars().take(60).collect()),
            expected: error.message().to_owned(),
        })
    }
}

/// `[dial_out]`: limits of all dial-out.
#[derive(Clone, Debug, Default, PartialEq, JsonSchema, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DialOutSource {
    /// Numbers that begin so are never dialed: `+`, country code and as many further digits as wanted.
    pub blocked_prefixes: Vec<Spanned<String>>,
    /// Premium-rate numbers may be dialed. Default: false.
    pub allow_premium: bool,
}

/// `[[bridge]]`: an organization's conferencing bridge.
#[derive(Clone, Debug, PartialEq, JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BridgeSource {
    /// The organization; one bridge each.
    pub tenant: Spanned<String>,
    /// For people.
    #[serde(default)]
    pub name: Option<String>,
    /// Caller ID of dial-out through Microsoft and gateways: a toll number of Microsoft's.
    #[serde(default)]
    pub default_service_number: Option<Spanned<String>>,
    /// Meaning of numbers keyed without `+`: 1 to 3 digits, such as `"49"`. Default: only `+` and `00` forms.
    #[serde(default)]
    pub country_code: Option<Spanned<String>>,
    /// Default: usual in that country (`00`, `011`, `810`).
    #[serde(default)]
    pub international_prefix: Option<Spanned<String>>,
    /// Default: usual in that country (`0`, `1`, `8`, or empty).
    #[serde(default)]
    pub national_prefix: Option<Spanned<String>>,
    /// Whether the balance of Communications Credits is positive. Default: true.
    #[serde(default = "yes")]
    pub communications_credits: bool,
    /// Takes the place of the table's `global_policy` for this tenant.
    #[serde(default)]
    pub global_policy: Option<Spanned<String>>,
    /// `OnlineDialOutPolicy` of organizers who have none of their own. Default: `DialoutCPCandPSTNInternational`.
    #[serde(default)]
    pub dial_out_policy: Option<Spanned<String>>,
    /// The country of organizers who name none, as ISO 3166-1 alpha-2: what *domestic* means.
    #[serde(default)]
    pub usage_location: Option<Spanned<String>>,
    /// `RecordingAndTranscriptionAudioNotification` of organizers who say nothing of it: those in a meeting hear that it is
    /// recorded. Decides no route: the directory of meetings reads it. Default: true.
    #[serde(default = "yes")]
    pub recording_notice: bool,
    /// `MaskPstnNumbersType`: `external`, `all` or `none`. Default: `external`.
    #[serde(default)]
    pub mask_pstn_numbers: Option<Spanned<String>>,
    /// `EnableNameRecording`: callers are asked for their names, where those are said. Default: true.
    #[serde(default = "yes")]
    pub enable_name_recording: bool,
    /// Under which name the public list of its numbers is found: 16 to 64 letters, digits and `-`. Default: there is none.
    #[serde(default)]
    pub public_id: Option<Spanned<String>>,
}

/// `[[number]]`: a service number.
#[derive(Clone, Debug, PartialEq, JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NumberSource {
    /// With `+` and country code; separators and `tel:` allowed.
    pub number: Spanned<String>,
    /// `microsoft` or `operator:<id>`.
    pub owner: Spanned<String>,
    /// `toll` (default) or `toll-free`.
    #[serde(default)]
    pub kind: Option<Spanned<String>>,
    /// The one tenant it is dedicated to. Default: shared by all.
    #[serde(default)]
    pub tenant: Option<Spanned<String>>,
    /// The primary language and up to four to choose from, such as `["de-DE", "en-US"]`; of dedicated numbers only. Default:
    /// the bridge's own.
    #[serde(default)]
    pub languages: Vec<Spanned<String>>,
    /// The operator has taken it out of service: calls to it are refused with 480. Default: false.
    #[serde(default)]
    pub suspended: bool,
}

/// `[[organizer]]`: a user who may hold meetings.
#[derive(Clone, Debug, PartialEq, JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own in the configuration")]
pub struct OrganizerSource {
    /// Unique in the deployment.
    pub id: Spanned<String>,
    /// The organization.
    pub tenant: Spanned<String>,
    /// `audio-conferencing-standard`, `operator-connect-conferencing`, `pay-per-minute` or `none`.
    pub license: Spanned<String>,
    /// The audio-conferencing routing policy granted to this user.
    #[serde(default)]
    pub policy: Option<Spanned<String>>,
    /// Groups whose `[[group_policy]]` applies when there is no `policy`.
    #[serde(default)]
    pub groups: Vec<String>,
    /// The toll number on this organizer's invites.
    #[serde(default)]
    pub service_number: Option<Spanned<String>>,
    /// The toll-free number on this organizer's invites.
    #[serde(default)]
    pub toll_free_service_number: Option<Spanned<String>>,
    /// `MeetingInvitePhoneNumbers`: the numbers on this organizer's invitations, in this order, in place of those two.
    #[serde(default)]
    pub meeting_invite_phone_numbers: Vec<Spanned<String>>,
    /// `AllowTollFreeDialin`: callers may use toll-free numbers. Default: true.
    #[serde(default = "yes")]
    pub allow_toll_free_dial_in: bool,
    /// `AllowAnonymousUsersToDialOut`: guests may have the meeting call somebody. Default: false.
    #[serde(default)]
    pub allow_anonymous_users_to_dial_out: bool,
    /// The organizer's PIN, hashed (a PHC string of argon2id). Decides no route: the directory of meetings reads it, and the
    /// keys below.
    #[serde(default)]
    pub pin_hash: Option<Spanned<String>>,
    /// `AllowPSTNUsersToBypassLobby`: callers do not wait in the lobby once the meeting runs. Default: false.
    #[serde(default)]
    pub allow_pstn_users_to_bypass_lobby: bool,
    /// `AllowAnonymousUsersToStartMeeting`: the meeting begins without its organizer. Default: false.
    #[serde(default)]
    pub allow_anonymous_users_to_start_meeting: bool,
    /// `EntryExitAnnouncementsType`: `tones` or `names`; or `off`. Default: `tones`.
    #[serde(default)]
    pub entry_exit_announcements: Option<Spanned<String>>,
    /// `RecordingAndTranscriptionAudioNotification`. Default: the bridge's.
    #[serde(default)]
    pub recording_notice: Option<bool>,
    /// `OnlineDialOutPolicy`: where this organizer's meetings may dial. Default: the bridge's.
    #[serde(default)]
    pub dial_out_policy: Option<Spanned<String>>,
    /// The organizer's country, as ISO 3166-1 alpha-2. Default: the bridge's.
    #[serde(default)]
    pub usage_location: Option<Spanned<String>>,
}

/// `[[group_policy]]`: `Grant-CsOnlineAudioConferencingRoutingPolicy -Group -Rank`.
#[derive(Clone, Debug, PartialEq, JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupPolicySource {
    /// The group's name, as in `[[organizer]] groups`.
    pub group: Spanned<String>,
    /// The policy granted.
    pub policy: Spanned<String>,
    /// Of several groups the lowest rank wins. Unique.
    pub rank: Spanned<u32>,
}

/// `[[policy]]`: an audio-conferencing routing policy.
#[derive(Clone, Debug, PartialEq, JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicySource {
    /// Unique.
    pub name: Spanned<String>,
    /// PSTN usages, tried in this order.
    pub pstn_usages: Vec<Spanned<String>>,
    /// For people.
    #[serde(default)]
    pub description: Option<String>,
}

/// `[[route]]`: a voice route.
#[derive(Clone, Debug, PartialEq, JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteSource {
    /// Unique.
    pub name: Spanned<String>,
    /// Applied to the dialed number with its `+`, anywhere in it unless anchored. Default `[0-9]{10}`.
    #[serde(default)]
    pub number_pattern: Option<Spanned<String>>,
    /// The lowest number is tried first. Default: one more than the highest before it in the file.
    #[serde(default)]
    pub priority: Option<Spanned<u32>>,
    /// The usages under which policies find it.
    pub pstn_usages: Vec<Spanned<String>>,
    /// Trunks in the order to try; excludes `bridge_source_phone_number`.
    #[serde(default)]
    pub pstn_gateway_list: Option<Vec<Spanned<String>>>,
    /// An operator's service number: the leg goes through that operator and shows this number.
    #[serde(default)]
    pub bridge_source_phone_number: Option<Spanned<String>>,
    /// What may carry the call when everything this route leads to is down: `none` (default) or `microsoft`.
    #[serde(default)]
    pub fallback: Option<Spanned<String>>,
    /// For people.
    #[serde(default)]
    pub description: Option<String>,
}

fn yes() -> bool {
    true
}
