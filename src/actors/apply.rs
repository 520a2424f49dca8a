//! Many definitions at once, all or nothing: one document of all that is to be, one transaction, one snapshot.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use actix::{AtomicResponse, Context, Handler, Message, WrapFuture as _};

use super::catalog::{CatalogActor, CatalogParts, Change, Draft, PutDone};
use super::error::{AlfError, list};
use super::once::Once;
use crate::for_each_noun;
use crate::model::{
    AnyDefinition, Catalog, Defaults, Definition as _, Denied, Fault, Noun, Origin, Reference, Rights, Selector,
};
use crate::store::{CameTo, ChangedOne, Changes};

/// Creates and replaces all that a document holds and deletes what it leaves out, if that is wanted.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Change, AlfError>")]
pub struct Apply {
    /// What is to be there; names within it may refer to others of it, in any order.
    pub items: Arc<Vec<ApplyItem>>,
    /// The nouns that the document names, with or without items.
    pub nouns: BTreeSet<Noun>,
    /// What is left out of these nouns and chosen by this is deleted.
    pub prune: Option<Selector>,
    /// Nothing is changed: the answer tells what would be.
    pub dry_run: bool,
    /// Those of whoever asks for it.
    pub rights: Rights,
    /// Who that is.
    pub origin: Arc<Origin>,
    /// Whether the answer shows what each was and is.
    pub documents: bool,
    /// The request that asks, where it is to be done once.
    pub once: Option<Once>,
}

/// One of the definitions of a document.
#[derive(Debug, Clone)]
pub struct ApplyItem {
    /// Where it stands: `/hosts/0`.
    pub pointer: String,
    /// What it says.
    pub draft: Draft,
}

impl Handler<Apply> for CatalogActor {
    type Result = AtomicResponse<Self, Result<Change, AlfError>>;

    fn handle(&mut self, apply: Apply, _: &mut Context<Self>) -> Self::Result {
        let parts = Arc::clone(&self.parts);
        AtomicResponse::new(Box::pin(async move { parts.apply(&apply).await }.into_actor(self)))
    }
}

impl CatalogParts {
    async fn apply(&self, apply: &Apply) -> Result<Change, AlfError> {
        if apply.dry_run {
            return self.work_out(apply, &self.published.get());
        }
        self.change(&apply.origin, |catalog| self.work_out(apply, catalog)).await
    }

    fn work_out(&self, apply: &Apply, catalog: &Catalog) -> Result<Change, AlfError> {
        let (definitions, mut next) = apply.check(catalog, &self.defaults).map_err(AlfError::Invalid)?;
        let gone = apply.left_out(&definitions, catalog);
        let put = definitions.into_iter().map(|one| {
            let what = one.reference();
            self.settled(one, catalog.get(what.noun, &what.name))
        });
        let put = put.collect();
        let gone_definitions = gone.iter().filter_map(|what| catalog.get(what.noun, &what.name)).collect();
        let mut change = Change { put, gone: gone_definitions, ..Change::default() };
        change.remember = apply.once.as_ref().map(|once| once.record(CameTo::Applied(change.told(apply.documents))));
        // Hosts that go are there for this: whose they are says who may change what names them.
        check_rights(&change, &apply.rights, catalog, &next)?;
        gone.iter().for_each(|what| next.remove(what.noun, &what.name));
        let in_use = in_use(&gone, &next);
        if in_use.is_empty() { Ok(change) } else { Err(AlfError::LeftOutInUse(in_use)) }
    }
}

impl Change {
    /// What became of each definition, and where that is wanted what it was and is.
    pub fn told(&self, documents: bool) -> Changes {
        let document = |one: &AnyDefinition| one.document().ok().filter(|_| documents);
        let changed = |before: Option<&AnyDefinition>, after: Option<&AnyDefinition>, what: &AnyDefinition| {
            let what = what.reference();
            let (before, after) = (before.and_then(document), after.and_then(document));
            ChangedOne { noun: what.noun.singular().to_owned(), name: what.name, before, after }
        };
        let mut told = Changes::default();
        for PutDone { definition, previous, changed: is_changed, created } in &self.put {
            if !is_changed {
                told.unchanged.push(changed(None, None, definition));
            } else if *created {
                told.created.push(changed(None, Some(definition), definition));
            } else {
                told.updated.push(changed(previous.as_ref(), Some(definition), definition));
            }
        }
        told.deleted = self.gone.iter().map(|one| changed(Some(one), None, one)).collect();
        told
    }
}

/// What of all that goes is named by others: each with the list of the document that it is left out of.
fn in_use(gone: &BTreeSet<Reference>, next: &Catalog) -> Vec<Fault> {
    let mut users: BTreeMap<Reference, Vec<Reference>> = BTreeMap::new();
    for (used, user) in next.users_among(gone) {
        users.entry(used).or_default().push(user);
    }
    let fault = |(used, users): (Reference, Vec<Reference>)| {
        let detail = format!("{used} is left out, but in use by {}", list(&users));
        Fault::new(format!("/{}", used.noun.plural()), detail)
    };
    users.into_iter().map(fault).collect()
}

/// Refuses a change of anything that must not be changed, and the word that something is as it was where it must not be
/// read.
fn check_rights(change: &Change, rights: &Rights, now: &Catalog, next: &Catalog) -> Result<(), Denied> {
    for done in &change.put {
        if done.changed {
            rights.check_change(done.previous.as_ref(), Some(&done.definition), now, next)?;
            continue;
        }
        macro_rules! check {
            ($($kind:ident $field:ident),*) => {
                match &done.definition { $(AnyDefinition::$kind(one) => rights.check_shown(one, next)?,)* }
            };
        }
        for_each_noun!(check);
    }
    change.gone.iter().try_for_each(|one| rights.check_change(Some(one), None, now, next))
}

impl Apply {
    /// The definitions that the items make, in their order, and the catalog with them in it; else all that is wrong with
    /// any of them.
    pub fn check(&self, catalog: &Catalog, defaults: &Defaults) -> Result<(Vec<AnyDefinition>, Catalog), Vec<Fault>> {
        // Those of each item together, in the document's order.
        let mut faults: Vec<Vec<Fault>> = Vec::with_capacity(self.items.len());
        let mut definitions = Vec::new();
        let mut next = catalog.clone();
        let mut places: BTreeMap<Reference, &str> = BTreeMap::new();
        // Faulty ones are there all the same for those that name them.
        let mut faulty = HashSet::new();
        for ApplyItem { pointer, draft } in self.items.iter() {
            let mut draft = draft.clone();
            draft.keep_left_out(catalog);
            let named = draft.reference();
            let mut found = Vec::new();
            let what = match draft.check_alone(catalog, defaults) {
                Ok(definition) => {
                    let what = definition.reference();
                    next.insert(definition.clone());
                    definitions.push(definition);
                    Some(what)
                }
                Err(wrong) => {
                    found = wrong;
                    faulty.extend(named.clone());
                    named
                }
            };
            if let Some(what) = what
                && let Some(earlier) = places.insert(what.clone(), pointer)
            {
                found.push(Fault::new("/name", format!("{what} is in the document twice: {earlier} is it as well")));
            }
            faults.push(found);
        }
        for (ApplyItem { draft, .. }, found) in self.items.iter().zip(&mut faults) {
            let missing = draft
                .named()
                .into_iter()
                .filter(|(_, other)| !next.contains(other.noun, &other.name) && !faulty.contains(other));
            found.extend(missing.map(|(field, other)| Fault::missing(field, &other)));
            // Each is judged as if it were put after all the others.
            let mut others = next.clone();
            if let Some(what) = draft.reference() {
                match catalog.get(what.noun, &what.name) {
                    Some(previous) => others.insert(previous),
                    None => others.remove(what.noun, &what.name),
                }
            }
            found.extend(draft.misfits(&others));
        }
        let faults: Vec<Fault> = self
            .items
            .iter()
            .zip(faults)
            .flat_map(|(item, found)| {
                found.into_iter().map(|fault| Fault { pointer: format!("{}{}", item.pointer, fault.pointer), ..fault })
            })
            .collect();
        if faults.is_empty() { Ok((definitions, next)) } else { Err(faults) }
    }

    /// What is there of the document's nouns, is not in it, and is to be deleted therefore.
    fn left_out(&self, definitions: &[AnyDefinition], catalog: &Catalog) -> BTreeSet<Reference> {
        let Some(prune) = &self.prune else { return BTreeSet::new() };
        let kept: HashSet<Reference> = definitions.iter().map(AnyDefinition::reference).collect();
        let mut gone = BTreeSet::new();
        macro_rules! each {
            ($($kind:ident $field:ident),*) => {$(
                if self.nouns.contains(&Noun::$kind) && Noun::$kind.can_be_pruned() {
                    // Of what must not be read nothing is left out.
                    let shown = catalog.$field.values().filter(|one| self.rights.show(*one, catalog));
                    let chosen = shown.map(|one| one.meta());
                    let chosen = chosen.filter(|meta| prune.matches(meta.name.as_str(), &meta.labels));
                    gone.extend(chosen.map(|meta| Reference { noun: Noun::$kind, name: meta.name.clone() }));
                }
            )*};
        }
        for_each_noun!(each);
        gone.retain(|what| !kept.contains(what));
        gone
    }
}
