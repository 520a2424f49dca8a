//! Rights: what whoever asks may touch. Which hosts a thing concerns is said here, once for every noun.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use super::action::{Action, LeadsTo, RunOn, Then};
use super::{AnyDefinition, Catalog, Catalogued, Host, Hosts, Key, Name, Noun, Reference, Selector};

/// What whoever asks may touch: everything where it is Alf itself, else what a key may.
#[derive(Debug, Clone)]
pub struct Rights(Option<Arc<Key>>);

/// Why something is not for whoever asks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Denied(String);

/// Which hosts a definition concerns.
enum Concern<'a> {
    /// It is this host.
    Host(&'a Host),
    /// The hosts of these names alone.
    Named(Vec<&'a Name>),
    /// More than can be said.
    All,
}

impl Concern<'_> {
    fn of(definition: &AnyDefinition) -> Concern<'_> {
        match definition {
            AnyDefinition::Host(host) => Concern::Host(host),
            AnyDefinition::HostTask(link) => Concern::on(Some(&link.on)),
            AnyDefinition::TaskSchedule(link) => Concern::on(link.on.as_ref()),
            AnyDefinition::Downtime(downtime) => Concern::on(Some(&downtime.on)),
            AnyDefinition::Action(action) => Concern::of_action(action),
            AnyDefinition::Secret(_)
            | AnyDefinition::Credential(_)
            | AnyDefinition::Program(_)
            | AnyDefinition::Task(_)
            | AnyDefinition::Schedule(_)
            | AnyDefinition::Contact(_)
            | AnyDefinition::Key(_) => Concern::All,
        }
    }

    fn on(hosts: Option<&Hosts>) -> Concern<'_> {
        match hosts {
            Some(Hosts::Named(name)) => Concern::Named(vec![name]),
            Some(Hosts::Selected(_)) | None => Concern::All,
        }
    }

    /// Those it is of, and that on which it runs something.
    fn of_action(action: &Action) -> Concern<'_> {
        let also = match &action.then {
            Then::Run(fire) => match &fire.on {
                RunOn::SameHost => None,
                RunOn::Host(host) => Some(host),
                RunOn::Selected(_) => return Concern::All,
            },
            _ => None,
        };
        match action.when.hosts.as_slice() {
            [] => Concern::All,
            hosts => Concern::Named(hosts.iter().chain(also).collect()),
        }
    }
}

impl Rights {
    /// Alf's own.
    pub const fn all() -> Self {
        Self(None)
    }

    /// Those of a key.
    pub fn of(key: Arc<Key>) -> Self {
        Self(Some(key))
    }

    /// The key whose they are.
    pub fn key(&self) -> Option<&Arc<Key>> {
        self.0.as_ref()
    }

    /// The hosts they end at; none if they are for all hosts.
    pub fn limit(&self) -> Option<&Selector> {
        self.0.as_ref()?.selector.as_ref().filter(|selector| !selector.is_all())
    }

    /// Whether a host may be touched.
    pub fn cover(&self, host: &Host) -> bool {
        self.limit().is_none_or(|selector| selector.matches(host.meta.name.as_str(), &host.meta.labels))
    }

    /// Whether the host of this name may be touched; one that is not there (any more) is nobody's.
    pub fn cover_name(&self, name: &Name, catalog: &Catalog) -> bool {
        self.limit().is_none() || catalog.hosts.get(name).is_some_and(|host| self.cover(host))
    }

    /// The hosts that may be touched; none if they are all there ever were.
    pub fn covered(&self, catalog: &Catalog) -> Option<Vec<Name>> {
        self.limit()?;
        let covered = catalog.hosts.values().filter(|host| self.cover(host));
        Some(covered.map(|host| host.meta.name.clone()).collect())
    }

    /// Refuses a host that must not be touched.
    pub fn check(&self, host: &Name, catalog: &Catalog) -> Result<(), Denied> {
        if self.cover_name(host, catalog) { Ok(()) } else { Err(self.denied(format_args!("host \"{host}\""))) }
    }

    /// Refuses what concerns all hosts.
    pub fn check_all(&self) -> Result<(), Denied> {
        if self.limit().is_none() { Ok(()) } else { Err(self.denied("this, which concerns others as well,")) }
    }

    /// Refuses to name secrets in what is given to a run. The run could show them, so it takes the right to run anything,
    /// and on all hosts; tasks that name secrets themselves are for whoever may run tasks.
    pub fn check_gives_secrets(&self) -> Result<(), Denied> {
        match &self.0 {
            Some(_) if self.limit().is_some() => Err(self.denied("naming a secret, which may concern others as well,")),
            Some(key) if !key.exec => {
                let needs = "naming a secret in what is given to a run needs the role admin or a key with exec";
                Err(Denied(format!("{needs}; the key \"{}\" has it not", key.meta.name)))
            }
            _ => Ok(()),
        }
    }

    /// Refuses credentials and secrets that are none of theirs yet to whom it is not for all hosts: who may say where a host
    /// is and what runs there is sent them. Theirs is what a host within reach names already, or a link that names one.
    fn check_names_secrets(
        &self,
        before: Option<&AnyDefinition>,
        after: &AnyDefinition,
        now: &Catalog,
    ) -> Result<(), Denied> {
        if self.limit().is_none() {
            return Ok(());
        }
        let named = |definition: AnyDefinition| definition.references().into_iter().map(|(_, other)| other);
        let known: HashSet<Reference> = before.cloned().into_iter().flat_map(named).collect();
        let is_new = |other: &Reference| {
            matches!(other.noun, Noun::Secret | Noun::Credential)
                && !known.contains(other)
                && !self.theirs(now).any(|definition| named(definition).any(|one| one == *other))
        };
        match named(after.clone()).find(is_new) {
            Some(secret) => {
                let Denied(words) = self.denied(secret);
                Err(Denied(format!(
                    "{words}: it may only name what one of these, or a link that names one, names already"
                )))
            }
            None => Ok(()),
        }
    }

    /// Refuses Actions that lead to an address that was not there before to whom it is not for all hosts: what Alf reaches over
    /// the network, and in whose name it writes, is not theirs to say.
    fn check_leads_nowhere_new(&self, before: Option<&AnyDefinition>, after: &AnyDefinition) -> Result<(), Denied> {
        fn leads_to(definition: &AnyDefinition) -> Option<LeadsTo<'_>> {
            match definition {
                AnyDefinition::Action(action) => action.then.leads_to(),
                _ => None,
            }
        }
        let (before, after) = (before.and_then(leads_to), leads_to(after));
        if self.limit().is_none() || after.is_none() || before == after {
            return Ok(());
        }
        let Denied(words) = self.denied("an address, which an Action sends something to,");
        Err(Denied(format!("{words}: its own Actions may run tasks and write to contacts")))
    }

    /// The hosts within reach, and the links that name one.
    fn theirs<'a>(&'a self, catalog: &'a Catalog) -> impl Iterator<Item = AnyDefinition> + 'a {
        let hosts = catalog.hosts.values().cloned().map(AnyDefinition::Host);
        let links = catalog.host_tasks.values().cloned().map(AnyDefinition::HostTask);
        hosts.chain(links).filter(|one| match Concern::of(one) {
            Concern::Host(host) => self.cover(host),
            Concern::Named(names) => names.into_iter().all(|name| self.cover_name(name, catalog)),
            Concern::All => false,
        })
    }

    /// Whether a definition may be read: all but hosts that must not be touched, and what is for some by name.
    pub fn show<T: Catalogued>(&self, one: &Arc<T>, catalog: &Catalog) -> bool {
        self.limit().is_none()
            || match Concern::of(&T::any(Arc::clone(one))) {
                Concern::Host(host) => self.cover(host),
                Concern::Named(names) => names.into_iter().all(|name| self.cover_name(name, catalog)),
                Concern::All => true,
            }
    }

    /// Refuses a definition that must not be read.
    pub fn check_shown<T: Catalogued>(&self, one: &Arc<T>, catalog: &Catalog) -> Result<(), Denied> {
        if self.show(one, catalog) {
            return Ok(());
        }
        Err(self.denied(T::any(Arc::clone(one)).reference()))
    }

    /// Refuses a change that must not be made: what was there before and what is there afterwards must both be within
    /// reach, and nobody makes a key that may do more than their own. `now` is all that there is before the change; `catalog`
    /// holds the hosts that are named, also those that come with it or go.
    pub fn check_change(
        &self,
        before: Option<&AnyDefinition>,
        after: Option<&AnyDefinition>,
        now: &Catalog,
        catalog: &Catalog,
    ) -> Result<(), Denied> {
        for definition in [before, after].into_iter().flatten() {
            let covered = match Concern::of(definition) {
                Concern::Host(host) => self.cover(host),
                Concern::Named(names) => names.into_iter().all(|name| self.cover_name(name, catalog)),
                Concern::All => self.limit().is_none(),
            };
            if !covered {
                return Err(self.denied(definition.reference()));
            }
        }
        if let Some(after) = after {
            self.check_names_secrets(before, after, now)?;
            self.check_leads_nowhere_new(before, after)?;
        }
        match (before, after) {
            (before, Some(AnyDefinition::Host(host))) => {
                let was = before.and_then(|before| match before {
                    AnyDefinition::Host(before) => before.jump.as_ref(),
                    _ => None,
                });
                // A way through a host uses that one's connection.
                match &host.jump {
                    Some(jump) if was != Some(jump) => self.check(jump, catalog),
                    _ => Ok(()),
                }
            }
            (_, Some(AnyDefinition::Key(key))) => match &self.0 {
                Some(own) => own.check_makes(key).map_err(Denied),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn denied(&self, what: impl fmt::Display) -> Denied {
        let own = self.0.as_ref().zip(self.limit());
        let (name, hosts) = own.map_or(("", String::new()), |(key, hosts)| (key.meta.name.as_str(), hosts.to_string()));
        Denied(format!("{what} is not for the {} \"{name}\", which is for the hosts of \"{hosts}\"", Noun::Key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Defaults, Definition, SecretText, Secrets};

    fn make<T: Catalogued>(json: &str) -> Arc<T> {
        let document = serde_json::from_str(json).unwrap();
        Arc::new(T::check(document, &Secrets::new(), &Defaults::default()).unwrap())
    }

    fn key(json: &str) -> Arc<Key> {
        let mut document: <Key as Definition>::Document = serde_json::from_str(json).unwrap();
        document.set_key(&SecretText::new("alf_x".to_owned()));
        Arc::new(Key::check(document, &Secrets::new(), &Defaults::default()).unwrap())
    }

    fn catalog() -> Catalog {
        let mut catalog = Catalog::default();
        for host in [r#"{"name": "web1", "labels": {"role": "web"}}"#, r#"{"name": "db1", "labels": {"role": "db"}}"#] {
            catalog.insert(Host::any(make(host)));
        }
        catalog
    }

    fn of_web() -> Rights {
        Rights::of(key(r#"{"name": "ops", "role": "admin", "selector": "role=web"}"#))
    }

    #[test]
    fn only_hosts_within_and_links_that_name_one_are_changed_both_before_and_after() {
        let (rights, catalog) = (of_web(), catalog());
        let web: AnyDefinition = Host::any(make(r#"{"name": "web9", "labels": {"role": "web"}}"#));
        let db = Host::any(make(r#"{"name": "web9", "labels": {"role": "db"}}"#));
        assert_eq!(rights.check_change(None, Some(&web), &catalog, &catalog), Ok(()));
        assert_eq!(rights.check_change(Some(&web), None, &catalog, &catalog), Ok(()));
        for (before, after) in [(None, Some(&db)), (Some(&db), Some(&web)), (Some(&web), Some(&db)), (Some(&db), None)]
        {
            let told = rights.check_change(before, after, &catalog, &catalog).unwrap_err().to_string();
            assert_eq!(told, "host \"web9\" is not for the key \"ops\", which is for the hosts of \"role=web\"");
        }
        let link = |on: &str| HostTask::any(make(&format!(r#"{{"name": "l", "task": "t", {on}}}"#)));
        use crate::model::HostTask;
        assert_eq!(rights.check_change(None, Some(&link(r#""host": "web1""#)), &catalog, &catalog), Ok(()));
        for on in [r#""host": "db1""#, r#""host": "gone""#, r#""selector": "role=web""#] {
            assert!(rights.check_change(None, Some(&link(on)), &catalog, &catalog).is_err(), "{on}");
        }
        let action = |rest: &str| Action::any(make(&format!(r#"{{"name": "a", {rest}}}"#)));
        let runs = r#""then": {"run": "t"}"#;
        assert_eq!(
            rights.check_change(
                None,
                Some(&action(&format!(r#"{runs}, "when": {{"hosts": ["web1"]}}"#))),
                &catalog,
                &catalog
            ),
            Ok(())
        );
        for beyond in [
            runs.to_owned(),
            format!(r#"{runs}, "when": {{"hosts": ["web1", "db1"]}}"#),
            format!(r#"{runs}, "when": {{"selector": "role=web"}}"#),
            r#""then": {"run": "t", "on": "db1"}, "when": {"hosts": ["web1"]}"#.to_owned(),
            r#""then": {"run": "t", "on": {"selector": "role=web"}}, "when": {"hosts": ["web1"]}"#.to_owned(),
        ] {
            assert!(rights.check_change(None, Some(&action(&beyond)), &catalog, &catalog).is_err(), "{beyond}");
        }
        let through = |jump: &str| {
            Host::any(make(&format!(r#"{{"name": "web9", "labels": {{"role": "web"}}, "jump": "{jump}"}}"#)))
        };
        assert_eq!(rights.check_change(None, Some(&through("web1")), &catalog, &catalog), Ok(()));
        assert!(rights.check_change(Some(&web), Some(&through("db1")), &catalog, &catalog).is_err());
        assert_eq!(rights.check_change(Some(&through("db1")), Some(&through("db1")), &catalog, &catalog), Ok(()));
        let task = crate::model::Task::any(make(r#"{"name": "t", "command": "true"}"#));
        assert!(rights.check_change(Some(&task), None, &catalog, &catalog).is_err());
        assert_eq!(Rights::all().check_change(Some(&task), Some(&db), &catalog, &catalog), Ok(()));
    }

    #[test]
    fn actions_lead_nowhere_that_was_not_said_by_whom_all_hosts_are() {
        let catalog = catalog();
        let action = |then: &str| {
            let contacts = if then.contains("email") { r#"["anna"]"# } else { "[]" };
            Action::any(make(&format!(
                r#"{{"name": "a", "when": {{"hosts": ["web1"]}}, "contacts": {contacts}, "then": {then}}}"#
            )))
        };
        let change = |rights: Rights, before: Option<&str>, after: &str| {
            let before = before.map(action);
            rights.check_change(before.as_ref(), Some(&action(after)), &catalog, &catalog).map_err(|it| it.to_string())
        };
        let hook = |more: &str| format!(r#"{{"webhook": {{"url": "https://example.org/"{more}}}}}"#);
        for (then, is_theirs) in [
            (r#"{"run": "t"}"#.to_owned(), true),
            (r#"{"email": {"subject": "{{ host }}"}}"#.to_owned(), true),
            (r#"{"email": {"to": ["x@example.org"]}}"#.to_owned(), false),
            (r#"{"email": {"from": "x@example.org"}}"#.to_owned(), false),
            (hook(""), false),
            (hook(r#", "allow_private": true"#), false),
            (r#"{"graphite": {"address": "192.0.2.1"}}"#.to_owned(), false),
            (r#"{"ganglia": {"address": "192.0.2.1"}}"#.to_owned(), false),
            (r#"{"influx": {"url": "http://192.0.2.1:8086", "database": "d"}}"#.to_owned(), false),
        ] {
            let told = change(of_web(), None, &then);
            assert_eq!(told.is_ok(), is_theirs, "{then}: {told:?}");
            assert_eq!(change(of_web(), Some(&then), &then), Ok(()), "{then} was there before");
            assert_eq!(change(Rights::all(), None, &then), Ok(()), "{then}");
            assert!(told.is_ok() || told.unwrap_err().contains("its own Actions may run tasks and write to contacts"));
        }
        let other = hook(r#", "body": "x", "method": "PUT""#);
        assert_eq!(change(of_web(), Some(&hook("")), &other), Ok(()), "it goes to the same place");
        assert!(change(of_web(), Some(&hook("")), &hook(r#", "allow_private": true"#)).is_err());
        let spoof = |of: &str| format!(r#"{{"ganglia": {{"address": "192.0.2.1", "spoof": {of}}}}}"#);
        assert!(change(of_web(), Some(&spoof("true")), &spoof(r#""192.0.2.9:db1""#)).is_err());
    }

    #[test]
    fn credentials_are_for_whom_all_hosts_are_but_for_those_that_the_own_hosts_name_already() {
        let mut catalog = catalog();
        catalog.insert(Host::any(make(r#"{"name": "web2", "labels": {"role": "web"}, "credential": "webs"}"#)));
        catalog.insert(Host::any(make(r#"{"name": "db2", "labels": {"role": "db"}, "credential": "dbs"}"#)));
        let link = r#"{"name": "l", "task": "t", "host": "web1", "env": {"A": {"secret": "of-a-link"}}}"#;
        catalog.insert(crate::model::HostTask::any(make(link)));
        let host = |more: &str| Host::any(make(&format!(r#"{{"name": "web9", "labels": {{"role": "web"}}, {more}}}"#)));
        let change = |before: Option<&str>, after: &str| {
            let before = before.map(host);
            let done = of_web().check_change(before.as_ref(), Some(&host(after)), &catalog, &catalog);
            done.map_err(|denied| denied.to_string())
        };
        let (webs, dbs) = (r#""credential": "webs""#, r#""credential": "dbs""#);
        assert_eq!(change(None, webs), Ok(()));
        assert_eq!(change(Some(dbs), r#""credential": "dbs", "port": 23"#), Ok(()), "it was there before");
        assert_eq!(change(None, r#""env": {"A": {"secret": "of-a-link"}}"#), Ok(()));
        let told = change(Some(webs), dbs).unwrap_err();
        let expected =
            "credential \"dbs\" is not for the key \"ops\", which is for the hosts of \"role=web\": it may only name";
        assert!(told.starts_with(expected), "{told}");
        // What comes with the same document is no user yet.
        let mut next = catalog.clone();
        next.insert(host(dbs));
        assert!(of_web().check_change(None, Some(&host(dbs)), &catalog, &next).is_err());
    }

    #[test]
    fn secrets_are_for_whom_all_hosts_are() {
        let with =
            |env: &str| Host::any(make(&format!(r#"{{"name": "w", "labels": {{"role": "web"}}, "env": {env}}}"#)));
        let (one, both) = (r#"{"A": {"secret": "a"}}"#, r#"{"A": {"secret": "a"}, "B": {"secret": "b"}}"#);
        let change = |before: &str, after: &str| {
            of_web()
                .check_change(Some(&with(before)), Some(&with(after)), &catalog(), &catalog())
                .map_err(|denied| denied.to_string())
        };
        assert_eq!(change(both, one), Ok(()));
        assert!(change(one, both).unwrap_err().starts_with("secret \"b\" is not for the key \"ops\""));
        assert!(change("{}", one).is_err());
        assert_eq!(Rights::all().check_change(None, Some(&with(one)), &catalog(), &catalog()), Ok(()));

        let gives = |json: &str| Rights::of(key(json)).check_gives_secrets().is_ok();
        assert!(
            gives(r#"{"name": "a", "role": "admin"}"#) && gives(r#"{"name": "o", "role": "operator", "exec": true}"#)
        );
        assert!(!gives(r#"{"name": "o", "role": "operator"}"#));
        assert!(!gives(r#"{"name": "w", "role": "admin", "selector": "role=web"}"#));
    }

    #[test]
    fn a_selector_that_chooses_all_is_no_limit() {
        let all = Rights::of(key(r#"{"name": "all", "role": "viewer", "selector": "*"}"#));
        assert!(all.limit().is_none() && all.check_all().is_ok());
        assert!(of_web().check_all().is_err());
    }

    #[test]
    fn nobody_makes_a_key_that_may_do_more_than_their_own() {
        let change = |own: &str, other: &str| {
            Rights::of(key(own)).check_change(
                None,
                Some(&Key::any(key(other))),
                &Catalog::default(),
                &Catalog::default(),
            )
        };
        let (admin, later) = (r#"{"name": "a", "role": "admin"}"#, r#""expires_at": "2031-01-01T00:00:00Z"}"#);
        let until = |at: &str| format!(r#"{{"name": "b", "role": "admin", "expires_at": "{at}T00:00:00Z"}}"#);
        assert_eq!(change(admin, admin), Ok(()));
        assert_eq!(change(admin, &until("2030-01-01")), Ok(()));
        assert_eq!(change(&until("2030-01-01"), &until("2029-12-31")), Ok(()));
        assert!(change(&until("2030-01-01"), admin).is_err());
        assert!(change(&until("2030-01-01"), &format!(r#"{{"name": "c", "role": "viewer", {later}"#)).is_err());
        let operator = r#"{"name": "o", "role": "operator"}"#;
        assert!(change(operator, admin).is_err());
        assert!(change(operator, r#"{"name": "e", "role": "operator", "exec": true}"#).is_err());
        assert!(change(r#"{"name": "w", "role": "admin", "selector": "role=web"}"#, operator).is_err());
    }
}
