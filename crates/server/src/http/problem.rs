//! Refusals as RFC 9457 writes them: what kind, why, and what to do next.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::shown::Decision;

/// Media type of a refusal (RFC 9457 section 3).
pub(super) const PROBLEM: &str = "application/problem+json";
/// What every `type` begins with.
const TYPE: &str = "urn:partyline:problem:";

/// A refusal (RFC 9457).
#[derive(Debug, Deserialize, ToSchema)]
#[expect(dead_code, reason = "refusals are written by `complete`; this describes them")]
#[serde(deny_unknown_fields)]
pub(super) struct Problem {
    /// The kind of problem, for programs: `urn:partyline:problem:` and a word that stays.
    #[serde(rename = "type")]
    #[schema(example = "urn:partyline:problem:not-found", pattern = "^urn:partyline:problem:[a-z-]+$")]
    kind: String,
    /// The same in a few words, for people.
    title: String,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// Why this request was refused.
    detail: String,
    /// What to do next.
    next: String,
    /// After how many seconds the same is not refused for the same reason any more, as in `Retry-After`; null or absent where that
    /// is not known.
    retry_after: Option<u64>,
    /// Of a dial-out that was refused: the routing decision with its reasons.
    #[schema(inline = false)]
    decision: Option<Decision>,
}

/// The word for a status, its title, and what whoever gets it does next.
fn kind(status: StatusCode) -> (&'static str, &'static str, &'static str) {
    match status.as_u16() {
        400 => (
            "bad-request",
            "the request is not understood",
            "mend what `detail` names; GET /v1/openapi.json describes every request",
        ),
        401 => (
            "unauthorized",
            "no valid token",
            "send `Authorization: Bearer <token>` with a token that the bridge's configuration names",
        ),
        403 => {
            ("forbidden", "not allowed", "ask whoever runs the bridge: `detail` says what stands against it")
        }
        404 => (
            "not-found",
            "there is no such thing",
            "GET /v1/conferences lists what is running, GET /v1/openapi.json every path",
        ),
        405 => (
            "method-not-allowed",
            "not with this method",
            "the Allow header lists the methods of this path; GET /v1/openapi.json describes them",
        ),
        409 => ("conflict", "not in this state", "GET the conference, see how it is now, and decide again"),
        413 => (
            "too-large",
            "the request is too large",
            "send less: a body has 16 KiB at most, one with a configuration 1 MiB",
        ),
        415 => ("not-json", "the body is not JSON", "send `Content-Type: application/json`"),
        422 => (
            "key-reused",
            "the Idempotency-Key belongs to another request",
            "take a fresh Idempotency-Key for a request that differs",
        ),
        429 => (
            "too-many-requests",
            "too many at once",
            "wait as long as Retry-After says, or without it for what `detail` names, then try again",
        ),
        503 => (
            "unavailable",
            "not now",
            "wait as long as Retry-After says, or without it for what `detail` names, then try again or ask another node",
        ),
        _ => ("failed", "it did not work", "try again; when it stays so, look at the bridge's log"),
    }
}

/// A refusal with this status, because of `detail`.
pub(super) fn problem(status: StatusCode, detail: &str) -> Response {
    complete(status, json!({ "detail": detail }))
}

/// A refusal that somebody else has begun: what RFC 9457 wants and is not there yet is filled in.
pub(super) fn complete(status: StatusCode, mut body: Value) -> Response {
    let (word, title, next) = kind(status);
    if !body.is_object() {
        body = json!({});
    }
    body["type"] = json!(format!("{TYPE}{word}"));
    body["status"] = json!(status.as_u16());
    for (member, text) in [("title", title), ("detail", title), ("next", next)] {
        if !body[member].is_string() {
            body[member] = json!(text);
        }
    }
    let mut response = (status, [(header::CONTENT_TYPE, PROBLEM)], body.to_string()).into_response();
    // RFC 9110 section 10.2.3. What is busy may be less so in a second; a limit opens when it says so, or nobody knows when.
    let after = match (status.as_u16(), body.get("retry_after")) {
        (429 | 503, Some(after)) => after.as_u64(),
        (503, None) => Some(1),
        _ => None,
    };
    if let Some(after) = after {
        response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from(after));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn body(response: Response) -> Value {
        let bytes = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }

    #[tokio::test]
    async fn every_refusal_says_kind_title_status_reason_and_what_to_do_next() {
        for status in [400, 401, 403, 404, 405, 409, 413, 415, 422, 429, 500, 503] {
            let status = StatusCode::from_u16(status).unwrap();
            let response = problem(status, "because of \"this\"\r\n");
            assert_eq!(response.status(), status);
            assert_eq!(response.headers()[header::CONTENT_TYPE], PROBLEM);
            let said: Problem = serde_json::from_value(body(response).await).unwrap();
            assert!(said.kind.starts_with(TYPE) && said.kind.len() > TYPE.len(), "{said:?}");
            assert_eq!((said.status, said.detail.as_str()), (status.as_u16(), "because of \"this\"\r\n"));
            assert!(said.title.len() > 5 && said.next.len() > 20, "{said:?}");
        }
    }

    #[test]
    fn retry_after_is_what_is_known_and_nothing_where_nothing_is() {
        let header = |status: u16, body: Value| {
            let response = complete(StatusCode::from_u16(status).unwrap(), body);
            response.headers().get(header::RETRY_AFTER).map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(header(429, json!({ "retry_after": 648_001 })).as_deref(), Some("648001"));
        assert_eq!(header(429, json!({})), None, "when one of the calls ends nobody knows");
        assert_eq!(header(503, json!({})).as_deref(), Some("1"), "what is busy may be less so in a second");
        assert_eq!(header(503, json!({ "retry_after": null })), None, "somebody must mend it");
        assert_eq!(header(403, json!({ "retry_after": 5 })), None);
    }

    #[tokio::test]
    async fn what_control_says_of_a_refusal_stays() {
        let begun = json!({ "title": "dial-out refused", "status": 409, "detail": "full", "decision": null });
        let said = body(complete(StatusCode::CONFLICT, begun)).await;
        assert_eq!((&said["title"], &said["detail"]), (&json!("dial-out refused"), &json!("full")));
        assert_eq!(said["type"], "urn:partyline:problem:conflict");
    }
}
