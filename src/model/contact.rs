//! Contacts: who is told.

use std::collections::{BTreeMap, BTreeSet};

use super::definition::{Defaults, Definition, Meta, Secrets, document};
use super::{AnyState, Catalog, Fault, Faults, Mailbox, Noun, QuietHours, QuietHoursDocument, Reference, Timestamp};

/// Longest telephone number, in bytes.
const LONGEST_PHONE: usize = 128;
/// Most other addresses.
const MOST_ADDRESSES: usize = 100;
/// Longest of them, in bytes.
const LONGEST_ADDRESS: usize = 1024;

/// Who is told.
#[derive(Debug, Clone, PartialEq)]
pub struct Contact {
    /// The common fields.
    pub meta: Meta,
    /// Where e-mail goes.
    pub email: Option<Mailbox>,
    /// A telephone number, for tasks that call it.
    pub phone: Option<String>,
    /// Other addresses by names of their own, for tasks that know them: a pager, a chat.
    pub addresses: BTreeMap<String, String>,
    /// The states that they are told of.
    pub notify_on: BTreeSet<AnyState>,
    /// When they are not to be told.
    pub quiet_hours: Option<QuietHours>,
}

document! {
    /// A contact as a document.
    pub struct ContactDocument {
        /// Where e-mail goes: `anna@example.org`.
        pub email: Option<String>,
        /// A telephone number, for tasks that call it.
        pub phone: Option<String>,
        /// Other addresses by names of their own, for tasks that know them: a pager, a chat.
        pub addresses: Option<BTreeMap<String, String>>,
        /// The states that they are told of; all where none are given.
        pub notify_on: Option<Vec<AnyState>>,
        /// When they are not to be told.
        pub quiet_hours: Option<Box<QuietHoursDocument>>,
    }
}

impl Contact {
    /// Whether they are told of this state at all.
    pub fn hears_of(&self, state: AnyState) -> bool {
        self.notify_on.contains(&state)
    }

    /// Until when quiet hours keep them from being told of this state; none if they do not.
    pub fn quiet_until(&self, state: AnyState, now: Timestamp) -> Option<Timestamp> {
        self.quiet_hours.as_ref().filter(|hours| !hours.except.contains(&state))?.quiet_until(now)
    }
}

impl Definition for Contact {
    const NOUN: Noun = Noun::Contact;
    type Document = ContactDocument;

    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn meta_mut(&mut self) -> &mut Meta {
        &mut self.meta
    }

    fn check(mut document: ContactDocument, _: &Secrets, defaults: &Defaults) -> Result<Self, Vec<Fault>> {
        let mut faults = Faults::default();
        let meta = document.take_meta(Noun::Contact, None, &mut faults);
        let email = document.email.and_then(|text| faults.take("/email", Mailbox::parse_bare(&text)));
        if document.phone.as_deref().is_some_and(|phone| !is_line(phone, LONGEST_PHONE)) {
            faults.add("/phone", format!("must be one line of 1 to {LONGEST_PHONE} bytes"));
        }
        let addresses = document.addresses.unwrap_or_default();
        check_addresses(&addresses, &mut faults);
        if document.notify_on.as_ref().is_some_and(Vec::is_empty) {
            faults.add("/notify_on", "must hold at least one state; leave it out for all of them");
        }
        let quiet_hours = document.quiet_hours.map(|hours| QuietHours::check(*hours, defaults, &mut faults));
        let contact = meta.map(|meta| Self {
            meta,
            email,
            phone: document.phone,
            addresses,
            notify_on: document.notify_on.unwrap_or(AnyState::ALL.to_vec()).into_iter().collect(),
            quiet_hours,
        });
        faults.into_result(contact)
    }

    fn document(&self) -> ContactDocument {
        ContactDocument {
            email: self.email.as_ref().map(|email| email.as_str().to_owned()),
            phone: self.phone.clone(),
            addresses: Some(self.addresses.clone()),
            notify_on: Some(self.notify_on.iter().copied().collect()),
            quiet_hours: self.quiet_hours.as_ref().map(|hours| Box::new(hours.document())),
            ..ContactDocument::with_meta(&self.meta)
        }
    }

    fn misfits_of(document: &ContactDocument, catalog: &Catalog) -> Vec<Fault> {
        let Some(name) = document.name.as_ref().filter(|_| document.email.is_none()) else { return Vec::new() };
        let contact = Reference { noun: Noun::Contact, name: name.clone() };
        let sends = |one: &&std::sync::Arc<super::Action>| one.then.is_email() && one.contacts.contains(&contact.name);
        let user = catalog.actions.values().find(sends);
        let told = |name: &super::Name| format!("is required: action \"{name}\" sends e-mail to this contact");
        user.map(|one| Fault::new("/email", told(&one.meta.name))).into_iter().collect()
    }
}

/// Whether it is one line of a bounded length that is not empty.
pub(super) fn is_line(text: &str, longest: usize) -> bool {
    !text.is_empty() && text.len() <= longest && !text.chars().any(char::is_control)
}

fn check_addresses(addresses: &BTreeMap<String, String>, faults: &mut Faults) {
    if addresses.len() > MOST_ADDRESSES {
        faults.add("/addresses", format!("holds {} addresses; at most {MOST_ADDRESSES} are allowed", addresses.len()));
    }
    for (name, address) in addresses {
        let legal = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if name.is_empty() || name.len() > 128 || !name.chars().all(legal) {
            let shown: String = name.chars().take(40).flat_map(char::escape_debug).collect();
            let allowed = "1 to 128 of A-Z a-z 0-9 . _ -";
            faults.add("/addresses", format!("\"{shown}\" is no name for an address; allowed are {allowed}"));
        } else if !is_line(address, LONGEST_ADDRESS) {
            faults.add(format!("/addresses/{name}"), format!("must be one line of 1 to {LONGEST_ADDRESS} bytes"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{HostState, State};

    fn check(json: &str) -> Result<Contact, Vec<Fault>> {
        Contact::check(serde_json::from_str(json).unwrap(), &Secrets::new(), &Defaults::default())
    }

    #[test]
    fn who_says_nothing_of_it_is_told_of_everything_at_any_time() {
        let anna = check(r#"{"name":"anna","email":"anna@example.org"}"#).unwrap();
        assert!(AnyState::ALL.into_iter().all(|state| anna.hears_of(state)));
        assert_eq!(anna.quiet_until(AnyState::Task(State::Warning), "2026-11-25T23:00:00Z".parse().unwrap()), None);
        let again = check(&serde_json::to_string(&anna.document()).unwrap()).unwrap();
        assert_eq!(again, anna);
    }

    #[test]
    fn quiet_hours_hold_back_all_but_the_excepted_states() {
        let ben = check(
            r#"{"name":"ben","phone":"+34 600 123 456","addresses":{"pager":"4711"},"notify_on":["CRITICAL","OK","DOWN"],
                "quiet_hours":{"periods":[{"from":"22:00","to":"07:00"}],"except":["CRITICAL"]}}"#,
        );
        let ben = ben.unwrap();
        let night = "2026-11-25T23:00:00Z".parse().unwrap();
        assert_eq!(
            ben.quiet_until(AnyState::Host(HostState::Down), night),
            Some("2026-11-26T07:00:00Z".parse().unwrap())
        );
        assert_eq!(ben.quiet_until(AnyState::Task(State::Critical), night), None);
        assert!(ben.hears_of(AnyState::Host(HostState::Down)) && !ben.hears_of(AnyState::Task(State::Warning)));
        assert_eq!(check(&serde_json::to_string(&ben.document()).unwrap()).unwrap(), ben);
    }

    #[test]
    fn every_fault_is_told_at_its_place() {
        let wrong = r#"{"name":"a","email":"anna","phone":"1\n2","addresses":{"a b":"x","pager":""},"notify_on":[],
                        "quiet_hours":{"periods":[]}}"#;
        let told: Vec<_> = check(wrong).unwrap_err().into_iter().map(|fault| fault.pointer).collect();
        let places = ["/email", "/phone", "/addresses", "/addresses/pager", "/notify_on", "/quiet_hours/periods"];
        assert_eq!(told, places);
        assert!(serde_json::from_str::<ContactDocument>(r#"{"notify_on":["BAD"]}"#).is_err());
    }
}
