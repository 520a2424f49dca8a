//! All definitions as one document, in the shape that an apply takes.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::web;
use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};

use super::bare::Bare;
use super::call::Call;
use super::format::to_xml;
use super::negotiate::Format;
use super::problem::Problem;
use super::reply::Reply;
use crate::for_each_noun;
use crate::model::{AnyDefinition, Catalog, Noun, Rights};

/// The name of the document: its element in XML.
pub const EXPORT: &str = "export";

/// `GET /export`: what the key may read, sorted by name; secrets, the bytes of programs and what Alf alone sets are left out.
pub async fn export(call: Call, rights: Rights) -> Result<Reply, Problem> {
    let (catalog, format) = (call.handle().catalog(), call.format);
    // A large fleet takes a while, and others are served meanwhile.
    let body = web::block(move || write(&catalog, &rights, format)).await;
    let body = body.map_err(|error| Problem::internal(error.to_string()))??;
    Ok(Reply::new(StatusCode::OK, call.format.content_type(), body))
}

fn write(catalog: &Catalog, rights: &Rights, format: Format) -> Result<String, Problem> {
    let export = Export::of(catalog, rights, format)?;
    if format.is_xml() {
        return Ok(to_xml(EXPORT, &export)?);
    }
    serde_json::to_string(&export).map_err(|error| Problem::internal(error.to_string()))
}

/// Every noun, with or without definitions, so that one who prunes by it gets all of it back as it was.
struct Export(Vec<(Noun, Vec<Bare>)>);

impl Export {
    fn of(catalog: &Catalog, rights: &Rights, format: Format) -> Result<Self, Problem> {
        let bare = |one: &AnyDefinition| {
            let document = one.document().map_err(|error| Problem::internal(error.to_string()))?;
            Bare::of(one.reference().noun, document, format)
        };
        macro_rules! each {
            ($($kind:ident $field:ident),*) => {
                vec![$((Noun::$kind, {
                    let shown = catalog.$field.values().filter(|one| rights.show(*one, catalog));
                    shown.map(|one| bare(&AnyDefinition::$kind(Arc::clone(one)))).collect::<Result<_, _>>()?
                })),*]
            };
        }
        Ok(Self(for_each_noun!(each)))
    }
}

impl Serialize for Export {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut export = serializer.serialize_struct(EXPORT, self.0.len())?;
        self.0.iter().try_for_each(|(noun, all)| export.serialize_field(noun.plural(), all))?;
        export.end()
    }
}
