//! One call in the document: parameters, body, answers, problems, each with an example in both forms.

use std::collections::{BTreeMap, BTreeSet};

use actix_web::http::Method;
use serde_json::{Map, Value, json};

use super::super::auth::Operation;
use super::super::call::Endpoint;
use super::super::format::{list_to_xml, to_xml, to_xml_ns};
use super::super::live::EVENT_STREAM;
use super::super::problem::{Kind, NAME_SPACE};
use super::super::programs::FILE;
use super::super::query::FORMAT;
use super::super::route::{API, Hosts};
use super::about::{About, Answer, Body, Shape, Shows};
use super::parameters;
use super::schemas::{Sample, Schemas, name_of, reference};
use crate::model::Role;

const JSON: &str = "application/json";
const XML: &str = "application/xml";

/// Describes calls, and gathers what they share.
pub struct Operations {
    schemas: Schemas,
    examples: Value,
    problems: BTreeMap<String, Value>,
}

impl Operations {
    /// With these schemas, and an example for each by its name.
    pub fn new(schemas: Schemas, examples: Value) -> Self {
        Self { schemas, examples, problems: BTreeMap::new() }
    }

    /// What the calls share: schemas, and problems as answers.
    pub fn into_parts(self) -> (Value, Value) {
        (self.schemas.into_value(), json!(self.problems))
    }

    /// A call as the document has it.
    pub fn describe(&mut self, path: &str, method: &Method, endpoint: Endpoint, about: Option<&About>) -> Value {
        let operation = endpoint.operation;
        let role = operation.least_role().map(|role| role.to_string());
        let mut described = json!({
            "operationId": id_of(method, path),
            "tags": [tag_of(path)],
            "summary": about.map_or("", |about| about.summary.as_str()),
            "security": if role.is_some() { json!([{"bearer": []}, {"api_key": []}]) } else { json!([]) },
            "x-alf-role": role,
            "x-alf-hosts": match endpoint.hosts {
                Hosts::None => None,
                Hosts::Named => Some("named"),
                Hosts::Covered => Some("own"),
                Hosts::All => Some("all"),
            },
            "parameters": parameters_of(path, endpoint, about),
            "responses": self.responses(path, method, endpoint, about),
        });
        let mut add = |name: &str, value: Value| {
            if let Value::Object(fields) = &mut described {
                fields.insert(name.to_owned(), value);
            }
        };
        if operation == Operation::Exec {
            add("x-alf-exec", json!(true));
        }
        let Some(about) = about else { return described };
        if !about.detail.is_empty() {
            add("description", json!(about.detail));
        }
        if let Some(body) = &about.body {
            add("requestBody", self.body(body));
        }
        described
    }

    fn body(&self, body: &Body) -> Value {
        match body {
            Body::Document(shape, root, optional) => {
                let schema = reference(&shape.name);
                let example = self.schemas.writable(self.example(shape), &schema);
                json!({"required": !optional, "content": self.both(&schema, root, &example)})
            }
            Body::Nothing(root) => {
                let schema = json!({"type": "object", "additionalProperties": false});
                json!({"required": false, "content": self.both(&schema, root, &json!({}))})
            }
            Body::Patch(shape) => {
                let media = json!({"schema": reference(&shape.name), "example": {"title": "Another title"}});
                json!({"required": true, "content": {"application/merge-patch+json": media, JSON: media}})
            }
            Body::File => json!({
                "required": true,
                "content": {FILE: {"schema": {"type": "string", "format": "binary", "minLength": 1}, "example": "#!/bin/sh\nuptime\n"}},
            }),
        }
    }

    /// A document in both forms.
    fn both(&self, schema: &Value, root: &str, example: &Value) -> Value {
        let sample = Sample { value: example, schema, schemas: &self.schemas };
        let xml = to_xml(root, &sample).unwrap_or_default();
        json!({
            JSON: {"schema": schema, "example": example},
            XML: {"schema": named(schema, &json!({"name": root})), "example": xml},
        })
    }

    fn example(&self, shape: &Shape) -> &Value {
        &self.examples[name_of(&shape.name)]
    }

    fn responses(&mut self, path: &str, method: &Method, endpoint: Endpoint, about: Option<&About>) -> Value {
        let mut responses = Map::new();
        for answer in about.iter().flat_map(|about| &about.answers) {
            responses.insert(answer.status.to_string(), self.answer(answer));
        }
        for kind in problems_of(path, method, endpoint, about) {
            let name = format!("{kind:?}");
            responses
                .insert(kind.status().as_u16().to_string(), json!({"$ref": format!("#/components/responses/{name}")}));
            self.problems.entry(name).or_insert_with(|| problem(kind, &self.schemas));
        }
        responses.into()
    }

    fn answer(&mut self, answer: &Answer) -> Value {
        let content = match &answer.shows {
            Shows::Document(shape, root) => self.both(&reference(&shape.name), root, self.example(shape)),
            Shows::List(shape, plural, singular) => self.list(shape, plural, singular),
            Shows::Other(kind, _) if *kind == JSON => json!({JSON: {"schema": {"type": "object"}, "example": {}}}),
            Shows::Other(EVENT_STREAM, example) => json!({EVENT_STREAM: {"schema": event(), "example": example}}),
            Shows::Other(kind, example) => json!({kind.split(';').next().unwrap_or(kind): {
                "schema": {"type": "string"}, "example": example,
            }}),
            Shows::Nothing => Value::Null,
        };
        let headers = answer.headers.iter().chain(&["X-Request-Id"]);
        let headers: Map<String, Value> =
            headers.map(|name| ((*name).to_owned(), parameters::answered(name))).collect();
        let mut described = json!({"description": answer.tells, "headers": headers});
        if let (Value::Object(fields), false) = (&mut described, content.is_null()) {
            fields.insert("content".to_owned(), content);
        }
        described
    }

    /// A page of a list: the envelope in JSON, attributes and items in XML.
    fn list(&mut self, shape: &Shape, plural: &str, singular: &str) -> Value {
        let (item, name) = (reference(&shape.name), format!("{}List", name_of(&shape.name)));
        let total = json!({"type": "integer", "minimum": 0, "description": "How many there are on all pages."});
        let next = json!({"type": ["string", "null"], "description": "The cursor of the next page."});
        let schema = json!({
            "type": "object",
            "description": "One page of a list.",
            "required": ["items", "next", "total"],
            "properties": {"items": {"type": "array", "items": item}, "next": next, "total": total},
        });
        self.schemas.add(&name, schema);
        let as_attribute = |schema: &Value| named(schema, &json!({"attribute": true}));
        let items = json!({"type": "array", "items": named(&item, &json!({"name": singular}))});
        let xml_schema = json!({
            "type": "object",
            "xml": {"name": plural},
            "required": ["total"],
            "properties": {"total": as_attribute(&total), "next": as_attribute(&next), singular: items},
        });
        let example = self.example(shape);
        let sample = Sample { value: example, schema: &item, schemas: &self.schemas };
        let xml = list_to_xml(plural, singular, &[sample], 1, None).unwrap_or_default();
        json!({
            JSON: {"schema": reference(&name), "example": {"items": [example], "next": null, "total": 1}},
            XML: {"schema": xml_schema, "example": xml},
        })
    }
}

/// One event of a stream.
fn event() -> Value {
    let text = |tells: &str| json!({"type": "string", "description": tells});
    json!({"type": "object", "properties": {
        "event": text("What happened."), "id": text("Last-Event-ID, to go on behind it."), "data": text("JSON."),
    }})
}

/// A schema with what XML has to know of it.
fn named(schema: &Value, xml: &Value) -> Value {
    let mut schema = schema.clone();
    if let Value::Object(fields) = &mut schema {
        fields.insert("xml".to_owned(), xml.clone());
    }
    schema
}

/// A problem as an answer.
fn problem(kind: Kind, schemas: &Schemas) -> Value {
    let (word, title) = kind.words();
    let mut example = json!({
        "type": word,
        "title": title,
        "status": kind.status().as_u16(),
        "detail": "what is wrong, and what is allowed",
        "instance": "01a20867-2305-7000-a80f-36c3e8703ee2",
    });
    if let (Kind::Invalid, Value::Object(fields)) = (kind, &mut example) {
        fields.insert("errors".to_owned(), json!([{"pointer": "/port", "detail": "must be from 1 to 65535"}]));
    }
    let schema = reference("Problem");
    let xml = to_xml_ns("problem", NAME_SPACE, &Sample { value: &example, schema: &schema, schemas });
    let headers: &[&str] = match kind {
        Kind::Unauthorized => &["WWW-Authenticate", "X-Request-Id"],
        Kind::TooManyRequests | Kind::Unavailable => &["Retry-After", "X-Request-Id"],
        _ => &["X-Request-Id"],
    };
    let headers: Map<String, Value> =
        headers.iter().map(|name| ((*name).to_owned(), parameters::answered(name))).collect();
    let xml_schema = named(&schema, &json!({"name": "problem", "namespace": NAME_SPACE}));
    json!({
        "description": title,
        "headers": headers,
        "content": {
            "application/problem+json": {"schema": schema, "example": example},
            "application/problem+xml": {"schema": xml_schema, "example": xml.unwrap_or_default()},
        },
    })
}

/// What may go wrong: what follows from the route, and what the call adds.
fn problems_of(path: &str, method: &Method, endpoint: Endpoint, about: Option<&About>) -> BTreeSet<Kind> {
    let operation = endpoint.operation;
    let mut kinds: BTreeSet<Kind> = about.iter().flat_map(|about| about.problems).copied().collect();
    kinds.extend([Kind::Malformed, Kind::Invalid, Kind::UriTooLong, Kind::HeadersTooLarge]);
    if let Some(role) = operation.least_role() {
        kinds.extend([Kind::Unauthorized, Kind::TooManyRequests, Kind::Unavailable]);
        if role > Role::Viewer || endpoint.hosts != Hosts::None {
            kinds.insert(Kind::Forbidden);
        }
    }
    if path.contains('{') {
        kinds.insert(Kind::NotFound);
    }
    if operation.answers_document() || operation == Operation::Follow {
        kinds.insert(Kind::NotAcceptable);
    }
    if matches!(*method, Method::POST | Method::PUT | Method::PATCH) {
        kinds.extend([Kind::TooSlow, Kind::TooLarge, Kind::UnsupportedMediaType]);
    }
    kinds
}

fn parameters_of(path: &str, endpoint: Endpoint, about: Option<&About>) -> Vec<Value> {
    let mut all = parameters::path(path);
    let known = endpoint.query.unwrap_or_default().iter().copied();
    let known = known.chain(endpoint.operation.answers_document().then_some(FORMAT));
    all.extend(known.filter_map(|name| parameters::query(name, path)));
    all.extend(about.iter().flat_map(|about| about.headers).map(|name| parameters::header(name)));
    all
}

/// A name for generated clients.
fn id_of(method: &Method, path: &str) -> String {
    let path = path.strip_prefix(&format!("{API}/")).filter(|rest| !rest.is_empty()).unwrap_or(path);
    let word = |c: char| if c.is_ascii_alphanumeric() { c.to_string() } else { "_".to_owned() };
    let path: String = path.replace(['{', '}'], "").trim_start_matches('/').chars().map(word).collect();
    format!("{}_{path}", method.as_str().to_lowercase())
}

/// What it belongs to.
fn tag_of(path: &str) -> &str {
    let below = path.strip_prefix(API).unwrap_or(path);
    below.split('/').nth(1).filter(|tag| !tag.is_empty()).unwrap_or("api")
}
