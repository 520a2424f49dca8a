//! Many definitions at once, all or nothing: the document of an export, with all that is wrong in any of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use actix_web::web;
use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::bare::Bare;
use super::body;
use super::call::Call;
use super::export::EXPORT;
use super::format::{FormatError, ListWords, Node, take_lists};
use super::negotiate::{BodyFormat, Format};
use super::once::{self, Due};
use super::problem::{MOST_FAULTS, Problem};
use super::reply::Reply;
use crate::actors::handle::{AnyDraft, Apply, ApplyItem, CameTo, ChangedOne, Changes};
use crate::for_each_noun;
use crate::model::{
    Action, Contact, Credential, Definition, Downtime, Fault, Host, HostTask, Key, Name, Noun, Program, Rights,
    Schedule, Secret, Selector, Task, TaskSchedule,
};

/// `POST /apply`: with `documents` each item comes with what it was and what it is.
pub async fn apply(call: Call, rights: Rights) -> Result<Reply, Problem> {
    let mut query = call.query.reader();
    let (dry_run, documents) = (query.flag("dry_run"), query.flag("documents"));
    let prune: Option<Selector> = query.take("prune");
    query.done()?;
    // What changes nothing may be repeated as it is.
    let once = match if dry_run { Due::Now(None) } else { once::due(&call).await? } {
        Due::Now(once) => once,
        Due::Done(CameTo::Applied(changes)) => return Ok(once::replayed(reply(&call, changes)?)),
        Due::Done(_) => return Err(once::not_of_this_call()),
    };
    let (format, bytes) = (body::document_format(&call)?, call.body.clone());
    // A large document takes a while, and others are served meanwhile.
    let read = web::block(move || Read::of(format, &bytes)).await;
    let Read { items, nouns, mut faults } = read.map_err(|error| Problem::internal(error.to_string()))??;
    let wanted =
        Apply { items: Arc::new(items), nouns, prune, dry_run, rights, origin: Arc::default(), documents, once };
    if !faults.is_empty() {
        faults.truncate(MOST_FAULTS);
        return Err(Problem::invalid(body::joined(faults, call.handle().check_all(&wanted))));
    }
    reply(&call, call.handle().apply(wanted).await?.told(documents))
}

fn reply(call: &Call, changes: Changes) -> Result<Reply, Problem> {
    call.document("applied", &Answer::of(changes, call.format)?)
}

/// What could be read of a document.
struct Read {
    items: Vec<ApplyItem>,
    nouns: BTreeSet<Noun>,
    faults: Vec<Fault>,
}

impl Read {
    fn of(format: BodyFormat, bytes: &Bytes) -> Result<Self, FormatError> {
        let known: Vec<ListWords> = Noun::ALL.iter().map(|noun| (noun.plural(), noun.singular())).collect();
        let (lists, faults) = take_lists(body::parse_as(format, bytes, EXPORT)?, &known);
        let faults = faults.into_iter().map(|fault| Fault::new(fault.pointer, fault.detail)).collect();
        let mut read = Self { items: Vec::new(), nouns: BTreeSet::new(), faults };
        for (noun, nodes) in lists.into_iter().filter_map(|(field, nodes)| Some((Noun::parse(field)?, nodes))) {
            read.nouns.insert(noun);
            for (index, node) in nodes.into_iter().enumerate() {
                let pointer = format!("/{}/{index}", noun.plural());
                let (draft, faults) = read_item(noun, node);
                let within = |fault: Fault| Fault { pointer: format!("{pointer}{}", fault.pointer), ..fault };
                read.faults.extend(faults.into_iter().map(within));
                read.items.extend(draft.map(|draft| ApplyItem { pointer, draft }));
            }
        }
        Ok(read)
    }
}

fn read_item(noun: Noun, node: Node) -> (Option<AnyDraft>, Vec<Fault>) {
    macro_rules! each {
        ($($kind:ident $field:ident),*) => {
            match noun {
                $(Noun::$kind => {
                    let read = body::draft::<<$kind as Definition>::Document>(node);
                    (read.document.map(AnyDraft::$kind), read.faults)
                })*
            }
        };
    }
    for_each_noun!(each)
}

#[derive(Serialize, ToSchema)]
#[schema(as = Applied)]
pub(super) struct Answer {
    created: Vec<Item>,
    updated: Vec<Item>,
    unchanged: Vec<Item>,
    deleted: Vec<Item>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = AppliedItem)]
struct Item {
    /// In snake_case.
    noun: &'static str,
    name: Name,
    /// What it was, with `documents`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    before: Option<Bare>,
    /// What it is, with `documents`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    after: Option<Bare>,
}

impl Item {
    fn of(ChangedOne { noun, name, before, after }: ChangedOne, format: Format) -> Result<Self, Problem> {
        let noun = Noun::parse(&noun).ok_or_else(|| Problem::internal(format!("{noun} is no noun")))?;
        let shown = |document: Option<Value>| document.map(|document| Bare::of(noun, document, format)).transpose();
        Ok(Self { noun: noun.singular(), name, before: shown(before)?, after: shown(after)? })
    }
}

impl Answer {
    fn of(Changes { created, updated, unchanged, deleted }: Changes, format: Format) -> Result<Self, Problem> {
        let items = |all: Vec<ChangedOne>| all.into_iter().map(|one| Item::of(one, format)).collect::<Result<_, _>>();
        Ok(Self {
            created: items(created)?,
            updated: items(updated)?,
            unchanged: items(unchanged)?,
            deleted: items(deleted)?,
        })
    }
}
