//! Hosts: machines reached over SSH.

use core::net::Ipv6Addr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::credential::check_user;
use super::definition::{Defaults, Definition, Meta, ReadOnly, Secrets, document};
use super::{Catalog, Env, Fault, Faults, HostKeyPolicy, Name, Noun, PublicKey, Reference, Timezone};

/// A machine reached over SSH.
#[derive(Debug, Clone, PartialEq)]
pub struct Host {
    /// The common fields.
    pub meta: Meta,
    /// Host name or IP address; the name where none was given.
    pub address: Option<String>,
    /// TCP port of sshd.
    pub port: u16,
    /// The user to log in as; else the credential's, else `ssh.user`, else the user Alf runs as.
    pub user: Option<String>,
    /// How to log in; else `ssh.credential`, else the agent, else the user's own keys.
    pub credential: Option<Name>,
    /// The host through whose connection it is reached; none for a direct one.
    pub jump: Option<Name>,
    /// What to do with a key nobody has recorded.
    pub policy: HostKeyPolicy,
    /// The keys the host may show, given by a person.
    pub keys: Vec<PublicKey>,
    /// What its sshd allows on one connection (`MaxSessions`).
    pub max_sessions: u32,
    /// How many connects in a row must fail before it is DOWN beyond doubt.
    pub max_attempts: u32,
    /// The zone whose wall clock schedules follow that are in the host's own time.
    pub timezone: Timezone,
    /// Variables for every task there.
    pub env: Env,
    /// Whether anything runs there.
    pub enabled: bool,
}

impl Host {
    /// Where to connect to.
    pub fn address(&self) -> &str {
        self.address.as_deref().unwrap_or(self.meta.name.as_str())
    }
}

/// The host's key, as it stands in a document.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HostKeyDocument {
    /// What to do with a key nobody has recorded.
    pub policy: Option<HostKeyPolicy>,
    /// The keys the host may show.
    pub keys: Option<Vec<PublicKey>>,
    /// The keys learnt at first contact.
    #[schema(value_type = Option<Vec<PublicKey>>, read_only)]
    pub learned: ReadOnly<Vec<PublicKey>>,
}

document! {
    /// A host as a document.
    pub struct HostDocument {
        /// Host name or IP address.
        pub address: Option<String>,
        /// TCP port of sshd.
        #[schema(minimum = 1, maximum = 65535, default = 22)]
        #[serde(deserialize_with = "crate::model::whole::within::<1, 65535, u16, _>")]
        pub port: Option<u16>,
        /// The user to log in as.
        pub user: Option<String>,
        /// The name of a credential.
        pub credential: Option<Name>,
        /// The name of the host through which it is reached.
        pub jump: Option<Name>,
        /// The host's key.
        pub host_key: Option<HostKeyDocument>,
        /// Sessions at once on the connection.
        #[schema(minimum = 1, maximum = 1000, default = 10)]
        #[serde(deserialize_with = "crate::model::whole::within::<1, 1000, u32, _>")]
        pub max_sessions: Option<u32>,
        /// How many connects in a row must fail before it is hard DOWN.
        #[schema(minimum = 1, maximum = 1000, default = 3)]
        #[serde(deserialize_with = "crate::model::whole::within::<1, 1000, u32, _>")]
        pub max_attempts: Option<u32>,
        /// An IANA zone name: that of schedules with `timezone: host`.
        pub timezone: Option<Timezone>,
        /// Variables for every task there.
        pub env: Option<Env>,
        /// Whether anything runs there.
        #[schema(default = true)]
        pub enabled: Option<bool>,
    }
}

impl Definition for Host {
    const NOUN: Noun = Noun::Host;
    type Document = HostDocument;

    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn meta_mut(&mut self) -> &mut Meta {
        &mut self.meta
    }

    fn check(mut document: HostDocument, _: &Secrets, defaults: &Defaults) -> Result<Self, Vec<Fault>> {
        let mut faults = Faults::default();
        let meta = document.take_meta(Noun::Host, None, &mut faults);
        if let Some(address) = &document.address {
            check_address(address, &mut faults);
        }
        if document.port == Some(0) {
            faults.add("/port", "must be from 1 to 65535");
        }
        let user = document.user.filter(|user| check_user("/user", user, &mut faults));
        let max_sessions = document.max_sessions.unwrap_or(10);
        if !(1..=1000).contains(&max_sessions) {
            faults.add("/max_sessions", "must be from 1 to 1000");
        }
        let max_attempts = document.max_attempts.unwrap_or(3);
        if !(1..=1000).contains(&max_attempts) {
            faults.add("/max_attempts", "must be from 1 to 1000");
        }
        let host_key = document.host_key.unwrap_or_default();
        let host = meta.map(|meta| Self {
            address: document.address.filter(|address| address != meta.name.as_str()),
            meta,
            port: document.port.unwrap_or(22),
            user,
            credential: document.credential,
            jump: document.jump,
            policy: host_key.policy.unwrap_or_default(),
            keys: host_key.keys.unwrap_or_default(),
            max_sessions,
            max_attempts,
            timezone: document.timezone.unwrap_or(defaults.timezone),
            env: document.env.unwrap_or_default(),
            enabled: document.enabled.unwrap_or(true),
        });
        faults.into_result(host)
    }

    fn document(&self) -> HostDocument {
        HostDocument {
            address: Some(self.address().to_owned()),
            port: Some(self.port),
            user: self.user.clone(),
            credential: self.credential.clone(),
            jump: self.jump.clone(),
            host_key: Some(HostKeyDocument {
                policy: Some(self.policy),
                keys: Some(self.keys.clone()),
                learned: ReadOnly(Some(Vec::new())),
            }),
            max_sessions: Some(self.max_sessions),
            max_attempts: Some(self.max_attempts),
            timezone: Some(self.timezone),
            env: Some(self.env.clone()),
            enabled: Some(self.enabled),
            ..HostDocument::with_meta(&self.meta)
        }
    }

    fn named_in(document: &HostDocument) -> Vec<(String, Reference)> {
        // One that names itself is refused as a loop, whether it is there or not.
        let jump = document.jump.as_ref().filter(|jump| document.name.as_ref() != Some(*jump));
        let credential = Reference::to(Noun::Credential, "/credential", document.credential.as_ref());
        let jump = Reference::to(Noun::Host, "/jump", jump);
        credential.into_iter().chain(jump).chain(document.env.iter().flat_map(Env::references)).collect()
    }

    fn misfits_of(document: &HostDocument, catalog: &Catalog) -> Vec<Fault> {
        let mut faults = Faults::default();
        // Such were taken once: those that are stored are read.
        if let Some(address) = document.address.as_deref()
            && holds_port(address)
        {
            faults.add("/address", "a \":\" stands in IPv6 addresses only; the port goes into the field port");
        }
        if let (Some(name), Some(jump)) = (&document.name, &document.jump) {
            faults.take("/jump", catalog.check_jump(name, jump));
        }
        faults.found()
    }
}

/// Whether a port stands behind it, or what may be meant for one.
fn holds_port(address: &str) -> bool {
    let (ip, _zone) = address.split_once('%').unwrap_or((address, ""));
    address.contains(':') && ip.parse::<Ipv6Addr>().is_err()
}

fn check_address(address: &str, faults: &mut Faults) {
    let legal = |c: char| c.is_alphanumeric() || "._-:%".contains(c);
    if address.is_empty() || address.len() > 255 || !address.chars().all(legal) {
        faults.add("/address", "must be a host name or an IP address without brackets, user or port");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_no_part_of_an_address() {
        for good in ["10.0.0.5", "web1.example.org", "::1", "2001:db8::5", "fe80::1%eth0", "::ffff:10.0.0.5"] {
            assert!(!holds_port(good), "{good}");
        }
        for bad in ["10.0.0.5:2222", "web1:22", "web1:", "2001:db8::5:port", "a:b:c", ":22"] {
            assert!(holds_port(bad), "{bad}");
        }
    }

    #[test]
    fn defaults_are_filled_in_and_a_document_comes_back_as_it_was() {
        let document: HostDocument = serde_json::from_str(r#"{"name":"web1"}"#).unwrap();
        let host = Host::check(document, &Secrets::new(), &Defaults::default()).unwrap();
        assert_eq!((host.address(), host.port, host.max_sessions, host.enabled), ("web1", 22, 10, true));
        let shown = serde_json::to_string(&host.document()).unwrap();
        let again = Host::check(serde_json::from_str(&shown).unwrap(), &Secrets::new(), &Defaults::default()).unwrap();
        assert_eq!(again, host);
    }

    #[test]
    fn every_fault_is_told_at_once() {
        let document: HostDocument = serde_json::from_str(
            r#"{"name":"a@b","address":"me@web1","port":0,"user":"a b","max_sessions":0,"max_attempts":0,"title":"a\nb"}"#,
        )
        .unwrap();
        let faults = Host::check(document, &Secrets::new(), &Defaults::default()).unwrap_err();
        let pointers: Vec<_> = faults.iter().map(|fault| fault.pointer.as_str()).collect();
        assert_eq!(pointers, ["/name", "/title", "/address", "/port", "/user", "/max_sessions", "/max_attempts"]);
    }
}
