//! The description of the API, OpenAPI 3.1: served at `/v1/openapi.json`, committed as `docs/openapi.json`.

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use utoipa::openapi::path::{HttpMethod, Operation, Parameter, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::schema::Type;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    Components, Content, Info, License, ObjectBuilder, OpenApi, Ref, RefOr, Required, Response,
    ResponseBuilder,
};
use utoipa::{PartialSchema as _, ToSchema as _};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::problem::{PROBLEM, Problem};
use super::{Doors, acting, dial_in_page, events, health, meetings, once, rehearsal, trunks, usage};

/// What is said of the whole.
const ABOUT: &str = "Runs the meetings of a telephone-conference bridge.\n\nEvery request but those for health, metrics, the lists of numbers and this \
    description carries `Authorization: Bearer <token>`. Refusals are RFC 9457 problems whose `next` says what to do.";

/// The paths for everyone who can reach the port.
fn open() -> OpenApiRouter<Arc<Doors>> {
    OpenApiRouter::new()
        .routes(routes!(health::metrics))
        .routes(routes!(health::livez))
        .routes(routes!(health::readyz))
        .routes(routes!(health::description))
        .routes(routes!(dial_in_page::numbers))
}

/// The paths for those with a token, below `/v1`.
fn guarded() -> OpenApiRouter<Arc<Doors>> {
    OpenApiRouter::new()
        .routes(routes!(meetings::conferences))
        .routes(routes!(meetings::conference, acting::end))
        .routes(routes!(acting::lock, acting::unlock))
        .routes(routes!(acting::announce, acting::hush))
        .routes(routes!(acting::mute_all, acting::unmute_all))
        .routes(routes!(acting::admit_all))
        .routes(routes!(acting::remove))
        .routes(routes!(acting::mute, acting::unmute))
        .routes(routes!(acting::lower_hand))
        .routes(routes!(acting::set_role))
        .routes(routes!(acting::digits))
        .routes(routes!(acting::admit, acting::reject))
        .routes(routes!(meetings::dial_out))
        .routes(routes!(meetings::start_recording, meetings::stop_recording))
        .routes(routes!(meetings::pause_recording, meetings::resume_recording))
        .routes(routes!(events::events))
        .routes(routes!(usage::usage))
        .routes(routes!(usage::report))
        .routes(routes!(trunks::explain))
        .routes(routes!(trunks::trunks))
        .routes(routes!(trunks::trunk))
        .routes(routes!(trunks::drain, trunks::undrain))
        .routes(routes!(rehearsal::config))
        // Its body is a whole configuration.
        .merge(
            OpenApiRouter::new()
                .routes(routes!(rehearsal::what_if))
                .layer(DefaultBodyLimit::max(rehearsal::LONGEST)),
        )
}

/// Both routers and the description of all that is in them.
pub(super) fn parts() -> (axum::Router<Arc<Doors>>, axum::Router<Arc<Doors>>, OpenApi) {
    let (open, open_described) = open().split_for_parts();
    let (guarded, guarded_described) = guarded().split_for_parts();
    let mut document = OpenApi::new(about(), utoipa::openapi::Paths::new());
    let mut components = Components::new();
    components.schemas.extend(open_described.components.unwrap_or_default().schemas);
    components.schemas.extend(guarded_described.components.unwrap_or_default().schemas);
    components.schemas.insert("Problem".to_owned(), Problem::schema());
    let mut more = Vec::new();
    Problem::schemas(&mut more);
    components.schemas.extend(more);
    let bearer =
        HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("a token of the configuration"));
    components.add_security_scheme("token", SecurityScheme::Http(bearer.build()));
    document.components = Some(components);
    for (path, item) in open_described.paths.paths {
        document.paths.paths.insert(path, item);
    }
    for (path, mut item) in guarded_described.paths.paths {
        for (method, operation) in operations(&mut item) {
            complete(&method, operation);
        }
        document.paths.paths.insert(format!("/v1{path}"), item);
    }
    (open, guarded, document)
}

/// The description as JSON, as it is served and committed.
pub fn description() -> String {
    let (_, _, document) = parts();
    // A description is made of strings and maps: there is nothing in it that JSON cannot say.
    let mut text = document.to_pretty_json().expect("the description serializes");
    text.push('\n');
    text
}

fn about() -> Info {
    let mut info = Info::new("partyline", env!("CARGO_PKG_VERSION"));
    info.description = Some(ABOUT.to_owned());
    info.license = Some(License::builder().name("Apache-2.0").identifier(Some("Apache-2.0")).build());
    info
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (HttpMethod, &mut Operation)> {
    [
        (HttpMethod::Get, item.get.as_mut()),
        (HttpMethod::Post, item.post.as_mut()),
        (HttpMethod::Put, item.put.as_mut()),
        (HttpMethod::Patch, item.patch.as_mut()),
        (HttpMethod::Delete, item.delete.as_mut()),
    ]
    .into_iter()
    .filter_map(|(method, operation)| Some((method, operation?)))
}

/// What every operation with a token has in common: that it wants one, and how it is refused.
fn complete(method: &HttpMethod, operation: &mut Operation) {
    operation.security = Some(vec![SecurityRequirement::new::<_, [&str; 0], &str>("token", [])]);
    let mut statuses = vec![
        ("400", "The request is not understood."),
        ("401", "No token, or one that is not known."),
        ("403", "Not allowed."),
        ("404", "There is no such thing."),
        ("429", "Too many at once; `Retry-After` says when to come again."),
        ("503", "Draining, or too busy."),
    ];
    if *method != HttpMethod::Get {
        statuses.push(("409", "Not in this state."));
    }
    if *method == HttpMethod::Post {
        statuses.push(("413", "The body is larger than 16 KiB."));
        statuses.push(("422", "Another request had this Idempotency-Key within ten minutes."));
        operation.parameters.get_or_insert_with(Vec::new).push(RefOr::T(idempotency_key()));
    }
    if operation.request_body.is_some() {
        statuses.push(("413", "The body is larger than 16 KiB."));
        statuses.push(("415", "The body is not `application/json`."));
    }
    for (status, description) in statuses {
        let responses = &mut operation.responses.responses;
        responses.entry(status.to_owned()).or_insert_with(|| RefOr::T(refusal(description)));
    }
}

/// The header that every POST may carry.
fn idempotency_key() -> Parameter {
    let about = "The same request with the same key is done once and answered alike for ten minutes (then with \
        `Idempotency-Replayed: true`). A fresh one for each request, as a UUID.";
    let text = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(255));
    ParameterBuilder::new()
        .name(once::KEY)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(about))
        .schema(Some(text.pattern(Some("^[A-Za-z0-9._:-]+$"))))
        .build()
}

fn refusal(description: &str) -> Response {
    let schema = RefOr::Ref(Ref::from_schema_name("Problem"));
    ResponseBuilder::new().description(description).content(PROBLEM, Content::new(Some(schema))).build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn the_committed_description_is_the_one_that_is_served() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
        let committed = std::fs::read_to_string(path).expect("docs/openapi.json");
        assert!(
            committed == description(),
            "docs/openapi.json is old: cargo run --bin partyline -- openapi > docs/openapi.json"
        );
    }

    #[test]
    fn every_operation_says_what_it_does_and_every_refusal_is_a_problem() {
        let document: Value = serde_json::from_str(&description()).expect("JSON");
        assert_eq!(document["openapi"], "3.1.0");
        let mut seen = 0;
        for (path, item) in document["paths"].as_object().expect("paths") {
            for (method, operation) in item.as_object().expect("operations") {
                seen += 1;
                assert!(operation["summary"].as_str().is_some_and(|text| text.len() > 10), "{method} {path}");
                assert!(operation["operationId"].is_string(), "{method} {path}");
                let guarded = path.starts_with("/v1/") && path != "/v1/openapi.json";
                assert_eq!(operation["security"].is_array(), guarded, "{method} {path}");
                for (status, response) in operation["responses"].as_object().expect("responses") {
                    let refused = (guarded || path.starts_with("/dialin/")) && status.as_str() >= "400";
                    assert_eq!(response["content"][PROBLEM].is_object(), refused, "{method} {path} {status}");
                }
            }
        }
        assert!(seen >= 9, "{seen} operations");
    }

    #[test]
    fn every_reference_of_the_description_leads_somewhere() {
        let text = description();
        let document: Value = serde_json::from_str(&text).expect("JSON");
        let references: Vec<&str> =
            text.split("\"$ref\": \"#").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert!(references.len() > 20, "{references:?}");
        for reference in references {
            assert!(document.pointer(reference).is_some(), "{reference}");
        }
    }
}
