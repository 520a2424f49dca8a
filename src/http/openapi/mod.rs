//! The API as an OpenAPI 3.1 document, `GET /openapi.json`, and as a page to try it, `GET /docs`.
//!
//! It follows from what is there: paths, roles, parameters and most problems from [`super::routes`], schemas from the Rust
//! types. `calls.rs` says of each call what it is for, what goes in and what comes out; `examples.json` holds an example of
//! each document.
//!
//! * `about.rs`       what is said of a call; `calls.rs`: of all calls; `bodies.rs`: documents that no single type is
//! * `parameters.rs`  queries, paths, headers; `schemas.rs`: schemas, and examples in both forms
//! * `operation.rs`   one call in the document; `page.rs`: the page

pub mod about;
pub mod bodies;
pub mod calls;
pub mod operation;
pub mod page;
pub mod parameters;
pub mod schemas;

#[cfg(test)]
mod tests;

use std::sync::OnceLock;

use actix_web::http::StatusCode;
use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::call::Call;
use super::problem::{Document as ProblemDocument, Problem};
use super::reply::Reply;
use super::routes;
use about::{About, Body, Shows, shape};
use operation::Operations;
use schemas::Schemas;

/// What there is to know before the first call.
const INFO: &str = include_str!("info.md");
/// An example of each document, by the name of its schema.
const EXAMPLES: &str = include_str!("examples.json");

/// The document, made when it is first asked for.
#[derive(Default)]
pub struct Written(OnceLock<Bytes>);

impl Written {
    fn get(&self) -> Bytes {
        self.0.get_or_init(|| document().to_string().into()).clone()
    }
}

/// `GET /openapi.json`.
pub async fn show(call: Call) -> Result<Reply, Problem> {
    Ok(Reply::new(StatusCode::OK, "application/json", call.openapi().get()))
}

/// The OpenAPI document.
pub fn document() -> Value {
    let calls = calls::calls();
    let examples: Value = serde_json::from_str(EXAMPLES).unwrap_or_default();
    let schemas = schemas_of(&calls);
    let mut operations = Operations::new(schemas, examples);
    let mut paths = Map::new();
    for at in routes() {
        let path = at.path();
        let mut methods = Map::new();
        for served in &at.methods {
            let about = calls.iter().find(|about| about.method == served.method && about.path == path);
            let method = served.method.as_str().to_lowercase();
            methods.insert(method, operations.describe(&path, &served.method, served.endpoint, about));
        }
        paths.insert(path, methods.into());
    }
    let (schemas, responses) = operations.into_parts();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Alf",
            "summary": "Scheduled tasks on remote hosts over SSH: monitored, judged, stored",
            "description": INFO,
            "version": env!("CARGO_PKG_VERSION"),
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "The service that shows this"}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": responses,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "Authorization: Bearer KEY"},
                "api_key": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
            },
        },
    })
}

/// The schemas of all that goes in and comes out.
fn schemas_of(calls: &[About]) -> Schemas {
    let mut shapes = vec![shape::<ProblemDocument<'_>>()];
    for about in calls {
        shapes.extend(about.body.iter().filter_map(|body| match body {
            Body::Document(shape, ..) | Body::Patch(shape) => Some(shape.clone()),
            Body::Nothing(_) | Body::File => None,
        }));
        shapes.extend(about.answers.iter().filter_map(|answer| match &answer.shows {
            Shows::Document(shape, _) | Shows::List(shape, ..) => Some(shape.clone()),
            Shows::Other(..) | Shows::Nothing => None,
        }));
    }
    Schemas::of(shapes.iter())
}
