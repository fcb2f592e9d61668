//! `Idempotency-Key`: the same request with the same key is done once, and answered alike for ten minutes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tokio::sync::oneshot;

use super::access::Token;
use super::{Doors, LONGEST_BODY, said};
use crate::control::Reply;

/// The header.
pub(super) const KEY: &str = "idempotency-key";
/// In an answer that was given before.
const REPLAYED: &str = "idempotency-replayed";
/// How long an answer is kept.
const KEPT: Duration = Duration::from_mins(10);
/// Keys of one token at once.
const MOST_KEYS: usize = 256;
/// The longest answer that is kept, in bytes.
const LONGEST_ANSWER: usize = 64 * 1024;
/// The longest key.
const LONGEST_KEY: usize = 255;

/// The answers that are kept, by token and key.
#[derive(Default)]
pub struct Answers(Mutex<HashMap<String, HashMap<String, Entry>>>);

struct Entry {
    at: Instant,
    /// What was asked.
    print: [u8; 32],
    /// `None` while it is under way.
    answer: Option<Answer>,
}

#[derive(Clone)]
struct Answer {
    status: StatusCode,
    /// `Content-Type` and `Retry-After` among them.
    headers: HeaderMap,
    body: Bytes,
}

/// What is known of a key.
enum Claim {
    /// It is fresh, and now taken.
    Fresh,
    /// It was answered.
    Answered(Answer),
    /// The same request is under way.
    UnderWay,
    /// It was another request's.
    Other,
    /// The token has too many.
    Full,
}

impl Answers {
    fn claim(&self, now: Instant, token: &str, key: &str, print: [u8; 32]) -> Claim {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let keys = all.entry(token.to_owned()).or_default();
        keys.retain(|_, entry| now.saturating_duration_since(entry.at) < KEPT);
        match keys.get(key) {
            Some(entry) if entry.print != print => Claim::Other,
            Some(Entry { answer: Some(answer), .. }) => Claim::Answered(answer.clone()),
            Some(_) => Claim::UnderWay,
            None if keys.len() >= MOST_KEYS => Claim::Full,
            None => {
                keys.insert(key.to_owned(), Entry { at: now, print, answer: None });
                Claim::Fresh
            }
        }
    }

    /// Keeps the answer; without one the key is free again. What was claimed at another time is another request's by now.
    fn settle(&self, claim: &Claimed, answer: Option<Answer>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(keys) = all.get_mut(&claim.token) else { return };
        let Some(entry) = keys.get_mut(&claim.key).filter(|entry| entry.at == claim.at) else { return };
        match answer {
            Some(answer) => entry.answer = Some(answer),
            None => drop(keys.remove(&claim.key)),
        }
    }
}

/// A key that a request has taken.
struct Claimed {
    token: String,
    key: String,
    at: Instant,
}

/// In an answer that says that control did not answer in time: where it will say what it has done all the same.
#[derive(Clone)]
pub(super) struct Later(Arc<Mutex<Option<oneshot::Receiver<Reply>>>>);

impl Later {
    pub(super) fn new(answered: oneshot::Receiver<Reply>) -> Self {
        Self(Arc::new(Mutex::new(Some(answered))))
    }

    /// What it said; `None` where it never says anything.
    async fn said(self) -> Option<Reply> {
        let answered = self.0.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        tokio::time::timeout(KEPT, answered).await.ok()?.ok()
    }
}

/// Lets a request through once for each key.
pub(super) async fn once(doors: Arc<Doors>, token: Arc<Token>, request: Request, next: Next) -> Response {
    let Some(key) = request.headers().get(KEY).cloned() else { return next.run(request).await };
    let Some(key) = key.to_str().ok().filter(|key| (1..=LONGEST_KEY).contains(&key.len())).map(str::to_owned)
    else {
        return doors
            .refuse(StatusCode::BAD_REQUEST, "an Idempotency-Key has 1 to 255 letters, digits and signs");
    };
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, LONGEST_BODY).await else {
        return doors.refuse(StatusCode::PAYLOAD_TOO_LARGE, "the body is longer than 16 KiB, or broke off");
    };
    let mut print = Sha256::new();
    print.update(parts.method.as_str());
    print.update([0]);
    print.update(parts.uri.to_string());
    print.update([0]);
    print.update(&body);
    let claim = Claimed { token: token.name.clone(), key, at: Instant::now() };
    match doors.answers.claim(claim.at, &claim.token, &claim.key, print.finalize().into()) {
        Claim::Fresh => {}
        Claim::Answered(answer) => {
            doors.count("ok");
            let mut response = answer.into_response();
            response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
            return response;
        }
        Claim::UnderWay => {
            return doors.refuse(
                StatusCode::CONFLICT,
                "the same request with this Idempotency-Key is under way: send it again later for its answer",
            );
        }
        Claim::Other => {
            let detail = "another request had this Idempotency-Key within the last ten minutes";
            return doors.refuse(StatusCode::UNPROCESSABLE_ENTITY, detail);
        }
        Claim::Full => {
            let detail =
                "this token has used 256 Idempotency-Keys within ten minutes: wait, or leave the header out";
            return doors.refuse(StatusCode::TOO_MANY_REQUESTS, detail);
        }
    }
    let work = async move { next.run(Request::from_parts(parts, Body::from(body))).await };
    keep(doors, claim, work).await
}

/// Does the work and keeps its answer, in a task of its own: who hangs up before the answer finds it when he comes again.
async fn keep(
    doors: Arc<Doors>,
    claim: Claimed,
    work: impl Future<Output = Response> + Send + 'static,
) -> Response {
    let (tell, told) = oneshot::channel();
    tokio::spawn(async move {
        let mut response = work.await;
        let later = response.extensions_mut().remove::<Later>();
        let answer = Answer::of(response).await;
        let Some(later) = later else {
            let lasts = answer.as_ref().filter(|answer| answer.lasts()).cloned();
            doors.answers.settle(&claim, lasts);
            // Fails only when he has hung up.
            return drop(tell.send(answer));
        };
        drop(tell.send(answer));
        // The key stays taken until it is known what came of it, and where nobody ever says so until its time is over: who
        // repeats the request must not have it done twice.
        if let Some(reply) = later.said().await {
            let answer = Answer::of(said(reply)).await;
            doors.answers.settle(&claim, answer.filter(Answer::lasts));
        }
    });
    match told.await {
        Ok(Some(answer)) => answer.into_response(),
        _ => super::problem::problem(StatusCode::INTERNAL_SERVER_ERROR, "the answer could not be read"),
    }
}

impl Answer {
    async fn of(response: Response) -> Option<Self> {
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, LONGEST_ANSWER).await.ok()?;
        Some(Self { status: parts.status, headers: parts.headers, body })
    }

    /// Whether the same will be said tomorrow: who was told to come again may.
    fn lasts(&self) -> bool {
        !self.status.is_server_error() && self.status != StatusCode::TOO_MANY_REQUESTS
    }

    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16) -> Answer {
        let status = StatusCode::from_u16(status).unwrap();
        Answer { status, headers: HeaderMap::new(), body: Bytes::from_static(b"x") }
    }

    fn claimed(key: &str, at: Instant) -> Claimed {
        Claimed { token: "a".to_owned(), key: key.to_owned(), at }
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_stays_taken_while_control_may_still_do_what_was_asked_and_its_later_answer_is_kept() {
        let (doors, mut asks) = Doors::for_tests();
        let doors = Arc::new(doors);
        let claim = |key: &str| doors.answers.claim(Instant::now(), "a", key, [1; 32]);
        for (key, replies) in [("done", Some(202)), ("too much", Some(429)), ("never", None)] {
            assert!(matches!(claim(key), Claim::Fresh));
            let at = doors.answers.0.lock().unwrap()["a"][key].at;
            let asked = Arc::clone(&doors);
            let work = async move { asked.ask(crate::control::Ask::Status).await };
            let answered = keep(Arc::clone(&doors), claimed(key, at), work).await;
            assert_eq!(answered.status(), 503, "control has not answered within 5 s");
            assert!(matches!(claim(key), Claim::UnderWay), "{key}");
            let (_, reply) = asks.recv().await.expect("the ask is still with control");
            if let Some(status) = replies {
                reply.send(Reply { status, body: serde_json::json!({ "leg": 7 }) }).expect("somebody waits");
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
            match (key, claim(key)) {
                ("done", Claim::Answered(answer)) => {
                    assert_eq!((answer.status.as_u16(), &answer.body[..]), (202, &b"{\"leg\":7}"[..]));
                }
                // It was not done: the key is free, and has been taken again just now.
                ("too much", Claim::Fresh) | ("never", Claim::UnderWay) => {}
                _ => panic!("{key}"),
            }
        }
    }

    #[tokio::test]
    async fn an_answer_with_a_key_says_when_to_come_again_as_one_without_does() {
        let (doors, _asks) = Doors::for_tests();
        let doors = Arc::new(doors);
        for (status, after, said) in
            [(429, Some(648_001), Some("648001")), (429, None, None), (503, None, None)]
        {
            let answer = Reply { status, body: serde_json::json!({ "retry_after": after }) };
            let work = async move { super::said(answer) };
            let answered = keep(Arc::clone(&doors), claimed("k", Instant::now()), work).await;
            let header = answered.headers().get(axum::http::header::RETRY_AFTER);
            assert_eq!(header.map(|value| value.to_str().unwrap()), said, "{status} {after:?}");
            assert_eq!(answered.headers()[axum::http::header::CONTENT_TYPE], "application/problem+json");
        }
    }

    #[test]
    fn a_key_is_one_request_s_for_ten_minutes_and_of_one_token() {
        let (answers, now) = (Answers::default(), Instant::now());
        assert!(matches!(answers.claim(now, "a", "k", [1; 32]), Claim::Fresh));
        assert!(matches!(answers.claim(now, "a", "k", [1; 32]), Claim::UnderWay));
        assert!(matches!(answers.claim(now, "b", "k", [2; 32]), Claim::Fresh));
        answers.settle(&claimed("k", now), Some(answer(202)));
        let known = answers.claim(now + Duration::from_secs(599), "a", "k", [1; 32]);
        assert!(matches!(known, Claim::Answered(answer) if answer.status == 202));
        assert!(matches!(answers.claim(now, "a", "k", [3; 32]), Claim::Other));
        assert!(matches!(answers.claim(now + KEPT, "a", "k", [3; 32]), Claim::Fresh));
    }

    #[test]
    fn what_was_not_done_may_be_asked_again_and_keys_are_bounded() {
        let (answers, now) = (Answers::default(), Instant::now());
        for key in 0..MOST_KEYS {
            assert!(matches!(answers.claim(now, "a", &key.to_string(), [1; 32]), Claim::Fresh));
        }
        assert!(matches!(answers.claim(now, "a", "more", [1; 32]), Claim::Full));
        answers.settle(&claimed("0", now + Duration::from_secs(1)), None);
        assert!(matches!(answers.claim(now, "a", "more", [1; 32]), Claim::Full), "another request's key");
        answers.settle(&claimed("0", now), None);
        assert!(matches!(answers.claim(now, "a", "more", [1; 32]), Claim::Fresh));
        assert!(answer(409).lasts() && !answer(503).lasts() && !answer(429).lasts());
    }
}
