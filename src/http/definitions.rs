//! Definitions: list, create, read, replace, patch, delete; the same for every noun.

use std::ops::Bound;
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, ETAG, LOCATION};
use serde::Serialize;

use super::body::{self, Draft};
use super::call::Call;
use super::condition::etag;
use super::merge_patch::merge;
use super::nouns::Served;
use super::page::Wanted;
use super::problem::Problem;
use super::reply::Reply;
use crate::actors::handle::{AnyDraft, Error, If, PutDone};
use crate::model::{AnyDefinition, Fault, Name, Reference, Rights, SecretText, Selector};

/// How often a patch that lost a race is made anew.
pub(super) const TRIES: usize = 5;

/// `GET /NOUNS`.
pub async fn list<T: Served>(call: Call, rights: Rights) -> Result<Reply, Problem> {
    let mut query = call.query.reader();
    let wanted = Wanted::read(&mut query, T::NOUN.plural());
    let selector: Option<Selector> = query.take("selector");
    let text = query.text("q").map(str::to_lowercase);
    query.done()?;
    let catalog = call.handle().catalog();
    let key = |one: &&Arc<T>| one.meta().name.to_string();
    let page = if rights.limit().is_none() && selector.is_none() && text.is_none() {
        let (all, after) = (T::map(&catalog), wanted.after.as_deref().unwrap_or_default());
        let behind = all.range::<str, _>((Bound::Excluded(after), Bound::Unbounded));
        wanted.take(all.size(), behind.map(|(_, one)| one), key)
    } else {
        let chosen = T::map(&catalog).values().filter(|one| {
            let meta = one.meta();
            let holds = |field: &str| text.as_ref().is_none_or(|text| field.to_lowercase().contains(text));
            rights.show(one, &catalog)
                && selector.as_ref().is_none_or(|selector| selector.matches(meta.name.as_str(), &meta.labels))
                && (holds(meta.name.as_str()) || holds(meta.title()) || holds(&meta.description))
        });
        wanted.cut(chosen, key)
    };
    let page = page.map(|one| one.shown(call.handle()));
    call.page((T::NOUN.plural(), T::NOUN.singular()), &page)
}

/// `GET /NOUNS/NAME`.
pub async fn get<T: Served>(call: Call, rights: Rights) -> Result<Reply, Problem> {
    let name = call.name("name", T::NOUN)?;
    let catalog = call.handle().catalog();
    let one = T::map(&catalog).get(&name).ok_or_else(|| Error::NotFound(reference::<T>(&name)))?;
    rights.check_shown(one, &catalog)?;
    let tag = etag(one.meta(), one.beside(call.handle()), call.format);
    let reply = if call.conditions()?.has(&tag) {
        Reply::empty(StatusCode::NOT_MODIFIED)
    } else {
        call.document(T::NOUN.singular(), &one.shown(call.handle()))?
    };
    // It may be kept, but is to be asked about each time.
    Ok(reply.with(ETAG, tag).with(CACHE_CONTROL, "private, no-cache"))
}

/// `POST /NOUNS`.
pub async fn create<T: Served>(call: Call, rights: Rights) -> Result<Reply, Problem> {
    let draft = body::read::<T::Document>(&call, T::NOUN.singular())?;
    let document = checked::<T>(&call, draft)?;
    let (done, key) = put::<T>(&call, document, If::Absent, rights).await?;
    created::<T>(&call, done.definition, key.as_ref())
}

/// `PUT /NOUNS/NAME`.
pub async fn replace<T: Served>(call: Call, rights: Rights) -> Result<Reply, Problem> {
    let draft = body::read::<T::Document>(&call, T::NOUN.singular())?;
    let (name, draft) = named::<T>(&call, draft);
    let catalog = call.handle().catalog();
    let now = name.as_ref().and_then(|name| T::map(&catalog).get(name));
    now.map_or(Ok(()), |now| rights.check_shown(now, &catalog))?;
    let condition = match &name {
        Some(name) => call.conditions()?.for_write(&reference::<T>(name), now.map(|one| one.meta()))?,
        None => If::None,
    };
    let absent = condition == If::Absent;
    let document = checked::<T>(&call, draft)?;
    let (done, key) = put::<T>(&call, document, condition, rights).await.map_err(|error| match error {
        // Somebody else made it since the condition was looked at.
        Error::Taken(reference) if absent => Error::Precondition { reference, version: None },
        other => other,
    })?;
    if done.created {
        created::<T>(&call, done.definition, key.as_ref())
    } else {
        answered::<T>(&call, StatusCode::OK, done.definition)
    }
}

/// Stores a document; a key that is new comes with its secret.
async fn put<T: Served>(
    call: &Call,
    document: T::Document,
    condition: If,
    rights: Rights,
) -> Result<(PutDone, Option<SecretText>), Error> {
    match T::draft(document) {
        AnyDraft::Key(document) => call.handle().put_key(document, condition, rights).await,
        draft => Ok((call.handle().put(draft, condition, rights).await?, None)),
    }
}

/// `PATCH /NOUNS/NAME`.
pub async fn patch<T: Served>(call: Call, rights: Rights) -> Result<Reply, Problem> {
    let name = call.name("name", T::NOUN)?;
    let mut patch = body::patch(&call)?;
    T::leave_out(&mut patch);
    let conditions = call.conditions()?;
    let what = reference::<T>(&name);
    let mut tries = 0;
    loop {
        tries += 1;
        let catalog = call.handle().catalog();
        let now = T::map(&catalog).get(&name).ok_or_else(|| Error::NotFound(what.clone()))?;
        rights.check_shown(now, &catalog)?;
        let asked = conditions.for_write(&what, Some(now.meta()))?;
        let mut document =
            serde_json::to_value(now.document()).map_err(|error| Problem::internal(error.to_string()))?;
        merge(&mut document, patch.clone());
        let json = serde_json::to_vec(&document).map_err(|error| Problem::internal(error.to_string()))?;
        let (_, draft) = named::<T>(&call, body::read_json(&json)?);
        let document = checked::<T>(&call, draft)?;
        // Patched was this version, whatever the client asked for.
        let condition = if asked == If::Absent { asked } else { If::Version(vec![now.meta().version]) };
        match call.handle().put(T::draft(document), condition, rights.clone()).await {
            Err(Error::Precondition { .. }) if tries < TRIES && !conditions.names_version() => {}
            outcome => return answered::<T>(&call, StatusCode::OK, outcome?.definition),
        }
    }
}

/// `DELETE /NOUNS/NAME`.
pub async fn delete<T: Served>(call: Call, rights: Rights) -> Result<Reply, Problem> {
    let name = call.name("name", T::NOUN)?;
    let mut query = call.query.reader();
    let cascade = query.flag("cascade");
    query.done()?;
    let what = reference::<T>(&name);
    let catalog = call.handle().catalog();
    let now = T::map(&catalog).get(&name).ok_or_else(|| Error::NotFound(what.clone()))?;
    rights.check_shown(now, &catalog)?;
    let condition = call.conditions()?.for_write(&what, Some(now.meta()))?;
    call.handle().delete(what, condition, cascade, rights).await?;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

pub(super) fn reference<T: Served>(name: &Name) -> Reference {
    Reference { noun: T::NOUN, name: name.clone() }
}

/// The document with the name in its URL, which one in the document must repeat.
fn named<T: Served>(call: &Call, mut draft: Draft<T::Document>) -> (Option<Name>, Draft<T::Document>) {
    let text = call.part("name");
    let in_url = if T::NOUN.is_link() { Name::parse_link(text) } else { Name::parse(text) };
    let mut faults = Vec::new();
    let name = in_url.map_err(|error| faults.push(Fault::new("/name", error.to_string()))).ok();
    if let (Some(document), Some(name)) = (&mut draft.document, &name) {
        let in_document = T::name_in(document).replace(name.clone());
        if in_document.is_some_and(|other| other != *name) {
            faults.push(Fault::new("/name", format!("must be \"{name}\" as in the URL, or be left out")));
        }
    }
    draft.faults.extend(faults);
    (name, draft)
}

/// The document if nothing is wrong with it so far; else all that is, by what it says as well.
fn checked<T: Served>(call: &Call, draft: Draft<T::Document>) -> Result<T::Document, Problem> {
    match draft {
        Draft { document: Some(document), faults } if faults.is_empty() => Ok(document),
        Draft { document: None, faults } => Err(Problem::invalid(faults)),
        Draft { document: Some(mut document), faults } => {
            T::complete(&mut document);
            let semantic = call.handle().check(T::draft(document));
            Err(Problem::invalid(body::joined(faults, semantic)))
        }
    }
}

/// 201, or 200: the definition as it is now.
pub(super) fn answered<T: Served>(
    call: &Call,
    status: StatusCode,
    definition: AnyDefinition,
) -> Result<Reply, Problem> {
    let one = T::of(definition).ok_or_else(|| Problem::internal("put answered a definition of another kind"))?;
    let tag = etag(one.meta(), one.beside(call.handle()), call.format);
    let reply = call.document_with(status, T::NOUN.singular(), &one.shown(call.handle()))?;
    Ok(reply.with(ETAG, tag))
}

/// 201 with the place of what was made; a new key is shown here, once.
pub(super) fn created<T: Served>(
    call: &Call,
    definition: AnyDefinition,
    key: Option<&SecretText>,
) -> Result<Reply, Problem> {
    /// `flatten` is for writing only, see `format`.
    #[derive(Serialize)]
    struct WithKey<'a, D> {
        #[serde(flatten)]
        document: D,
        key: &'a str,
    }
    let place = format!("/api/v1/{}/{}", T::NOUN.url(), definition.reference().name);
    let reply = match (key, T::of(definition.clone())) {
        (Some(key), Some(one)) => {
            let document = WithKey { document: one.shown(call.handle()), key: key.reveal() };
            let tag = etag(one.meta(), one.beside(call.handle()), call.format);
            call.document_with(StatusCode::CREATED, T::NOUN.singular(), &document)?.with(ETAG, tag)
        }
        _ => answered::<T>(call, StatusCode::CREATED, definition)?,
    };
    Ok(reply.with(LOCATION, place))
}
