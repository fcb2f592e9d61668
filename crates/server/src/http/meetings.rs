//! Meetings: who is there, calling somebody, recording.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::access::{By, OPERATOR, VIEWER};
use super::asked::{Asked, Body, Id};
use super::shown::{Changed, Conference, Conferences, Dialing, RecordingFile};
use super::{Doors, json};
use crate::control::Ask;
use crate::recording::Format;

/// Every meeting with somebody in it.
#[utoipa::path(
    get,
    path = "/conferences",
    tag = "conferences",
    responses((status = 200, description = "The meetings that are running, by conference ID.", body = Conferences))
)]
pub(super) async fn conferences(By(token): By<VIEWER>, State(doors): State<Arc<Doors>>) -> Response {
    let seen = doors.conferences.iter().filter(|entry| token.sees(&entry.tenant));
    let mut all: Vec<_> = seen.map(|entry| (entry.key().clone(), entry.seen(token.outside))).collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    doors.count("ok");
    let all: Vec<_> = all.iter().map(|(_, snapshot)| &**snapshot).collect();
    json(format!("{{\"conferences\":[{}]}}", all.join(",")))
}

/// One meeting: who is in it, and who is being called for it.
///
/// A caller who asked for privacy is shown without number and name.
#[utoipa::path(
    get,
    path = "/conferences/{id}",
    tag = "conferences",
    params(("id" = String, Path, description = "The conference ID, as callers key it.", example = "912308576")),
    responses((status = 200, description = "The meeting.", body = Conference))
)]
pub(super) async fn conference(
    By(token): By<VIEWER>,
    State(doors): State<Arc<Doors>>,
    Id(id): Id,
) -> Response {
    match doors.conferences.get(&id).filter(|shown| token.sees(&shown.tenant)) {
        Some(shown) => {
            doors.count("ok");
            json(shown.seen(token.outside).to_string())
        }
        None => doors.refuse(StatusCode::NOT_FOUND, "no such conference is running"),
    }
}

/// Whom to call.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DialOut {
    /// The number, as a person would write it.
    #[schema(example = "+49 30 901820", max_length = 64)]
    number: String,
    /// Whether the callee must press 1 to join, so that a voicemail never ends up in a meeting; default: as configured.
    #[serde(default)]
    confirm: Option<bool>,
    /// The number is that of who asks, and he is called himself. The same rules hold, the organizer's; usage records say `call_me`
    /// instead of `conf_out`.
    #[serde(default)]
    call_me: bool,
}

/// Call a number and bring whoever answers into the meeting.
///
/// The meeting need not be running yet. This costs money: the `decision` says by which trunk and who bills it.
#[utoipa::path(
    post,
    path = "/conferences/{id}/dial-out",
    tag = "conferences",
    params(("id" = String, Path, description = "The conference ID, as callers key it.", example = "912308576")),
    request_body = DialOut,
    responses((status = 202, description = "The call is on its way.", body = Dialing))
)]
pub(super) async fn dial_out(
    By(token): By<OPERATOR>,
    State(doors): State<Arc<Doors>>,
    Id(conference_id): Id,
    Body(body): Body<DialOut>,
) -> Response {
    let DialOut { number, confirm, call_me } = body;
    doors.ask_as(&token, Ask::DialOut { conference_id, number, confirm, call_me }).await
}

/// How to record.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct HowToRecord {
    /// What the file is: `wav` (mono, 16 bit, 16 kHz; the default) or `opus` (in Ogg, mono).
    #[serde(default)]
    #[param(inline, required = false)]
    format: Format,
}

/// Record what is said from now on, in the folder of `recording.folder`. Everybody in the meeting, and whoever joins it, hears so
/// unless `recording_notice` says otherwise.
#[utoipa::path(
    post,
    path = "/conferences/{id}/recording",
    tag = "conferences",
    params(
        ("id" = String, Path, description = "The conference ID, as callers key it.", example = "912308576"),
        HowToRecord
    ),
    responses((status = 201, description = "The recording has begun.", body = RecordingFile))
)]
pub(super) async fn start_recording(
    By(token): By<OPERATOR>,
    State(doors): State<Arc<Doors>>,
    Id(conference_id): Id,
    Asked(how): Asked<HowToRecord>,
) -> Response {
    doors.ask_as(&token, Ask::StartRecording { conference_id, format: how.format }).await
}

/// Record nothing for now: the file has a mark there and no silence.
#[utoipa::path(
    put,
    path = "/conferences/{id}/recording/pause",
    tag = "conferences",
    params(("id" = String, Path, description = "The conference ID, as callers key it.", example = "912308576")),
    responses((status = 200, description = "Nothing is recorded for now.", body = Changed))
)]
pub(super) async fn pause_recording(
    By(token): By<OPERATOR>,
    State(doors): State<Arc<Doors>>,
    Id(conference_id): Id,
) -> Response {
    doors.ask_as(&token, Ask::PauseRecording { conference_id, paused: true }).await
}

/// Go on with the recording.
#[utoipa::path(
    delete,
    path = "/conferences/{id}/recording/pause",
    tag = "conferences",
    params(("id" = String, Path, description = "The conference ID, as callers key it.", example = "912308576")),
    responses((status = 200, description = "It is recorded again.", body = Changed))
)]
pub(super) async fn resume_recording(
    By(token): By<OPERATOR>,
    State(doors): State<Arc<Doors>>,
    Id(conference_id): Id,
) -> Response {
    doors.ask_as(&token, Ask::PauseRecording { conference_id, paused: false }).await
}

/// End the recording.
#[utoipa::path(
    delete,
    path = "/conferences/{id}/recording",
    tag = "conferences",
    params(("id" = String, Path, description = "The conference ID, as callers key it.", example = "912308576")),
    responses((status = 200, description = "The recording is over.", body = RecordingFile))
)]
pub(super) async fn stop_recording(
    By(token): By<OPERATOR>,
    State(doors): State<Arc<Doors>>,
    Id(conference_id): Id,
) -> Response {
    doors.ask_as(&token, Ask::StopRecording { conference_id }).await
}
