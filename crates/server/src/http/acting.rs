//! What is done to a running meeting and to the people in it.
//!
//! Each operation is answered with how many legs or settings it has changed; 0 means that it was so already.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use bridge::{Action, Keys};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::Doors;
use super::access::{By, OPERATOR, Token};
use super::asked::{Asked, Body, Id, Seat};
use super::shown::{Changed, Role};
use crate::control::Ask;

impl Doors {
    async fn act(&self, token: &Token, conference_id: String, action: Action) -> Response {
        self.ask_as(token, Ask::Act { conference_id, action }).await
    }
}

/// How a mute is meant.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Mute {
    /// He cannot end it himself; default: false.
    hard: Option<bool>,
}

/// What somebody shall be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewRole {
    /// Organizer or participant.
    role: Role,
}

/// One operation on a meeting, or on somebody in it: its description and the action.
macro_rules! operation {
    ($(#[doc = $doc:literal])* $name:ident, $method:ident, $path:literal, meeting, $action:expr) => {
        $(#[doc = $doc])*
        #[utoipa::path(
            $method,
            path = $path,
            tag = "conferences",
            params(("id" = String, Path, description = "The conference ID, as callers key it.", example = "912308576")),
            responses((status = 200, description = "Done.", body = Changed))
        )]
        pub(super) async fn $name(
            By(token): By<OPERATOR>,
            State(doors): State<Arc<Doors>>,
            Id(id): Id,
        ) -> Response {
            doors.act(&token, id, $action).await
        }
    };
    ($(#[doc = $doc:literal])* $name:ident, $method:ident, $path:literal, person, $action:expr) => {
        $(#[doc = $doc])*
        #[utoipa::path(
            $method,
            path = $path,
            tag = "participants",
            params(
                ("id" = String, Path, description = "The conference ID, as callers key it.", example = "912308576"),
                ("leg" = u64, Path, description = "The `leg` of who is meant.", example = 7)
            ),
            responses((status = 200, description = "Done.", body = Changed))
        )]
        pub(super) async fn $name(
            By(token): By<OPERATOR>,
            State(doors): State<Arc<Doors>>,
            Seat(id, leg): Seat,
        ) -> Response {
            let action: fn(bridge::LegId) -> Action = $action;
            doors.act(&token, id, action(leg)).await
        }
    };
}

operation!(
    /// End the meeting for everyone; who is being called for it is let go.
    end, delete, "/conferences/{id}", meeting, Action::End
);
operation!(
    /// Lock the meeting: nobody may come in any more.
    lock, put, "/conferences/{id}/lock", meeting, Action::Lock(true)
);
operation!(
    /// Unlock the meeting.
    unlock, delete, "/conferences/{id}/lock", meeting, Action::Lock(false)
);
operation!(
    /// Let entry and exit be heard.
    announce, put, "/conferences/{id}/announcements", meeting, Action::Announce(true)
);
operation!(
    /// Let nobody hear who comes and goes.
    hush, delete, "/conferences/{id}/announcements", meeting, Action::Announce(false)
);
operation!(
    /// End what organizers and users have muted.
    unmute_all, delete, "/conferences/{id}/mute", meeting, Action::UnmuteAll
);
operation!(
    /// Let everybody in from the lobby.
    admit_all, put, "/conferences/{id}/admission", meeting, Action::AdmitAll
);
operation!(
    /// Hang up on a participant, on who waits in the lobby, or stop calling somebody.
    remove, delete, "/conferences/{id}/participants/{leg}", person, Action::Remove
);
operation!(
    /// End the mute of a participant, unless he muted himself: nobody's line is opened behind his back.
    unmute, delete, "/conferences/{id}/participants/{leg}/mute", person, Action::Unmute
);
operation!(
    /// Lower the hand of a participant.
    lower_hand, delete, "/conferences/{id}/participants/{leg}/hand", person, Action::LowerHand
);
operation!(
    /// Let somebody in from the lobby. A meeting that has not started starts.
    admit, put, "/conferences/{id}/participants/{leg}/admission", person, Action::Admit
);
operation!(
    /// Send somebody away from the lobby, with a word.
    reject, delete, "/conferences/{id}/participants/{leg}/admission", person, Action::Reject
);

/// Mute everybody but the organizers; hard: also those who come later.
#[utoipa::path(
    put,
    path = "/conferences/{id}/mute",
    tag = "conferences",
    params(("id" = String, Path, description = "The conference ID, as callers key it.", example = "912308576"), Mute),
    responses((status = 200, description = "Done.", body = Changed))
)]
pub(super) async fn mute_all(
    By(token): By<OPERATOR>,
    State(doors): State<Arc<Doors>>,
    Id(id): Id,
    Asked(mute): Asked<Mute>,
) -> Response {
    doors.act(&token, id, Action::MuteAll { hard: mute.hard.unwrap_or(false) }).await
}

/// Mute a participant.
#[utoipa::path(
    put,
    path = "/conferences/{id}/participants/{leg}/mute",
    tag = "participants",
    params(
        ("id" = String, Path, description = "The conference ID, as callers key it.", example = "912308576"),
        ("leg" = u64, Path, description = "The `leg` of who is meant.", example = 7),
        Mute
    ),
    responses((status = 200, description = "Done.", body = Changed))
)]
pub(super) async fn mute(
    By(token): By<OPERATOR>,
    State(doors): State<Arc<Doors>>,
    Seat(id, leg): Seat,
    Asked(mute): Asked<Mute>,
) -> Response {
    doors.act(&token, id, Action::Mute { leg, hard: mute.hard.unwrap_or(false) }).await
}

/// Keys to press.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewDigits {
    /// 1 to 32 of `0`-`9`, `*`, `#`, `A`-`D`.
    #[schema(example = "4711#", min_length = 1, max_length = 32, pattern = "^[0-9A-Da-d*#]+$")]
    digits: String,
}

/// Press keys into the call to somebody who was dialed out, for the menu of another system.
///
/// They are sent as telephone events (RFC 4733), 100 ms each, one in 240 ms, after those still being sent; 64 may be on their way. They
/// may be a PIN: they are written nowhere.
#[utoipa::path(
    post,
    path = "/conferences/{id}/participants/{leg}/digits",
    tag = "participants",
    params(
        ("id" = String, Path, description = "The conference ID, as callers key it.", example = "912308576"),
        ("leg" = u64, Path, description = "The `leg` of who is meant.", example = 7)
    ),
    request_body = NewDigits,
    responses((status = 200, description = "They are on their way.", body = Changed))
)]
pub(super) async fn digits(
    By(token): By<OPERATOR>,
    State(doors): State<Arc<Doors>>,
    Seat(id, leg): Seat,
    Body(new): Body<NewDigits>,
) -> Response {
    match Keys::parse(&new.digits) {
        Ok(keys) => doors.act(&token, id, Action::SendDigits { leg, keys }).await,
        Err(why) => doors.refuse(StatusCode::BAD_REQUEST, &why.to_string()),
    }
}

/// Make somebody an organizer or a participant.
#[utoipa::path(
    put,
    path = "/conferences/{id}/participants/{leg}/role",
    tag = "participants",
    params(
        ("id" = String, Path, description = "The conference ID, as callers key it.", example = "912308576"),
        ("leg" = u64, Path, description = "The `leg` of who is meant.", example = 7)
    ),
    request_body = NewRole,
    responses((status = 200, description = "Done.", body = Changed))
)]
pub(super) async fn set_role(
    By(token): By<OPERATOR>,
    State(doors): State<Arc<Doors>>,
    Seat(id, leg): Seat,
    Body(new): Body<NewRole>,
) -> Response {
    let role = match new.role {
        Role::Organizer => bridge::Role::Organizer,
        Role::Participant => bridge::Role::Participant,
    };
    doors.act(&token, id, Action::SetRole { leg, role }).await
}
