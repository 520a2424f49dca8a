//! Plans: what the definitions come to for one host.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use super::parts::LoginDefaults;
use crate::model::{
    Catalog, Credential, Downtime, Env, Host, Limit, Name, PairLine, Proof, PublicKey, SecretText, Task, TextValue,
    Timezone,
};
use crate::ssh::{Login, Target};

/// What the definitions come to for one host.
#[derive(Debug, Clone, PartialEq)]
pub struct HostPlan {
    /// The host.
    pub host: Arc<Host>,
    /// The user of its credential.
    pub user: Option<String>,
    /// How to log in there, the secrets that its credential names looked up: another value is another login.
    pub login: Login,
    /// Whether other hosts are reached through it.
    pub leads_on: bool,
    /// Its linked tasks; shared by who holds the plan.
    pub pairs: Arc<[Arc<PairPlan>]>,
}

/// What the definitions come to for one (host, task).
#[derive(Debug, Clone, PartialEq)]
pub struct PairPlan {
    /// The task.
    pub task: Arc<Task>,
    /// The task's timeout, or the link's in its place.
    pub timeout: Limit,
    /// Its variables: the host's, the task's, the link's, the later winning.
    pub env: Env,
    /// When it is due: nothing while host or task is disabled.
    pub lines: Arc<[PairLine]>,
    /// Downtimes that keep it from running, whenever they go on.
    pub pauses: Box<[Arc<Downtime>]>,
    /// The zone of the host, which they may follow.
    pub timezone: Timezone,
}

impl PairPlan {
    /// A task without a link to the host.
    pub fn unlinked(host: &Host, task: Arc<Task>) -> Self {
        Self {
            timeout: task.timeout,
            env: host.env.overlaid(&task.env),
            task,
            lines: Arc::default(),
            pauses: Box::default(),
            timezone: host.timezone,
        }
    }
}

impl HostPlan {
    /// For a host of the catalog; `jumps` are [`Catalog::jumps`].
    pub fn of(catalog: &Catalog, jumps: &HashSet<Name>, host: &Arc<Host>, defaults: &LoginDefaults) -> Self {
        let credential = host.credential.as_ref().or(defaults.credential.as_ref());
        let credential = credential.and_then(|name| catalog.credentials.get(name));
        let links = catalog.links_on(host);
        let lines_of = |task: &Name| -> Arc<[PairLine]> {
            links.get(task).into_iter().flatten().filter_map(|link| catalog.line_of(link, host)).collect()
        };
        let pairs = catalog
            .tasks_of(host)
            .into_iter()
            .map(|(task, link)| {
                let due = host.enabled && task.enabled;
                let lines = if due { lines_of(&task.meta.name) } else { Arc::default() };
                let env = host.env.overlaid(&task.env).overlaid(&link.env);
                Arc::new(PairPlan {
                    timeout: link.timeout.unwrap_or(task.timeout),
                    env,
                    lines,
                    pauses: catalog.pauses_of(&task.meta.name, host).into(),
                    timezone: host.timezone,
                    task,
                })
            })
            .collect();
        Self {
            leads_on: jumps.contains(&host.meta.name),
            host: Arc::clone(host),
            user: credential.and_then(|credential| credential.user.clone()),
            login: credential.map_or(Login::Default, |credential| login(credential, catalog)),
            pairs,
        }
    }

    /// Whether a connection made by the other plan is not the one this plan wants.
    pub fn connects_otherwise(&self, other: &Self) -> bool {
        let (one, two) = (&self.host, &other.host);
        one.address() != two.address()
            || one.port != two.port
            || one.user != two.user
            || one.jump != two.jump
            || one.policy != two.policy
            || one.keys != two.keys
            || self.user != other.user
            || self.login != other.login
    }

    /// Where and how to log in.
    pub fn target(&self, learned: Vec<PublicKey>, defaults: &LoginDefaults) -> Target {
        let host = &self.host;
        let user = host.user.as_ref().or(self.user.as_ref());
        let mut keys = host.keys.clone();
        keys.extend(learned.into_iter().filter(|key| !host.keys.contains(key)));
        Target {
            host: host.meta.name.clone(),
            address: host.address().to_owned(),
            port: host.port,
            user: user.unwrap_or(&defaults.user).clone(),
            login: self.login.clone(),
            policy: host.policy,
            keys,
            via: None,
            leads_on: self.leads_on,
        }
    }
}

/// How to log in with a credential.
fn login(credential: &Credential, catalog: &Catalog) -> Login {
    // In a snapshot every secret that is named is there; were one not, the host would be told nothing.
    let nothing = |_| SecretText::new(String::new());
    let text = |value: &TextValue<SecretText>| value.reveal(catalog).unwrap_or_else(nothing);
    match &credential.proof {
        Proof::Agent => Login::Agent,
        Proof::Password(password) => Login::Password(text(password)),
        Proof::PrivateKey { key, passphrase, certificate } => Login::PrivateKey {
            key: key.clone(),
            passphrase: passphrase.as_ref().map(text),
            certificate: certificate.clone(),
        },
        Proof::KeyFile { path, passphrase } => {
            Login::KeyFile { path: PathBuf::from(path), passphrase: passphrase.as_ref().map(text) }
        }
    }
}
