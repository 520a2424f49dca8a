//! Programs: what is put is the file itself; all else is as for every noun.

use actix_web::http::StatusCode;
use actix_web::http::header::ACCEPT;

use super::call::Call;
use super::definitions::{TRIES, answered, created, reference};
use super::format::excerpt;
use super::problem::{Kind, Problem};
use super::reply::Reply;
use crate::actors::handle::{Error, If};
use crate::model::{Definition as _, Fault, Name, Program, ProgramDocument, Rights};

/// The type of a file's body.
pub(super) const FILE: &str = "application/octet-stream";

/// `PUT /programs/NAME`: creates the program, or puts other bytes in the place of its own; title, labels and description
/// stay.
pub async fn replace(call: Call, rights: Rights) -> Result<Reply, Problem> {
    check_type(&call)?;
    if call.body.is_empty() {
        return Err(Problem::invalid(vec![Fault::new("", "the body is empty: send the bytes of the file")]));
    }
    let name = Name::parse(call.part("name"));
    let name = name.map_err(|error| Problem::invalid(vec![Fault::new("/name", error.to_string())]))?;
    let conditions = call.conditions()?;
    let what = reference::<Program>(&name);
    let mut tries = 0;
    loop {
        tries += 1;
        let catalog = call.handle().catalog();
        let now = catalog.programs.get(&name);
        let asked = conditions.for_write(&what, now.map(|now| now.meta()))?;
        // What stays is that of this version.
        let condition = now.map_or(If::Absent, |now| If::Version(vec![now.meta.version]));
        let document = ProgramDocument::replacing(now.map(AsRef::as_ref), Some(name.clone()));
        match call.handle().put_program(document, call.body.clone(), condition, rights.clone()).await {
            Err(Error::Precondition { .. } | Error::Taken(_))
                if tries < TRIES && asked != If::Absent && !conditions.names_version() => {}
            // Somebody else made it since the condition was looked at.
            Err(Error::Taken(reference)) => return Err(Error::Precondition { reference, version: None }.into()),
            Err(error) => return Err(error.into()),
            Ok(done) if done.created => return created::<Program>(&call, done.definition, None),
            Ok(done) => return answered::<Program>(&call, StatusCode::OK, done.definition),
        }
    }
}

/// `POST /programs`: a file has its name in the URL.
pub async fn create(_: Call) -> Result<Reply, Problem> {
    Err(unsupported("a program is created by its file"))
}

fn check_type(call: &Call) -> Result<(), Problem> {
    let sent = call.header("content-type").unwrap_or_default();
    let kind = sent.split(';').next().unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case(FILE) {
        return Ok(());
    }
    let words = match kind {
        "" => "the body has no type".to_owned(),
        kind => format!("the body type \"{}\" is not read here", excerpt(kind)),
    };
    Err(unsupported(&words))
}

/// 415, with what is read (RFC 9110 section 15.5.16).
fn unsupported(words: &str) -> Problem {
    let detail = format!("{words}; send the file with PUT /api/v1/programs/NAME and Content-Type: {FILE}");
    Problem::new(Kind::UnsupportedMediaType, detail).with(ACCEPT, FILE)
}
