//! The settings of what Actions send.

use std::path::PathBuf;

use ipnet::IpNet;

use super::{FileSetting, Merged, SettingsError, values};

/// What Actions send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionsSettings {
    /// Networks that webhooks may be sent to though they are private.
    pub allow_private: Vec<IpNet>,
    /// Further CAs that servers' certificates may be of.
    pub ca_file: Option<FileSetting>,
    /// The most bytes that one metric sink keeps on disk while its receiver is away.
    pub spool_limit: usize,
}

/// The server that takes e-mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmailSettings {
    /// Its name or address.
    pub server: String,
    /// Its port; none is the usual one.
    pub port: Option<u16>,
    /// How mail is encrypted on its way there.
    pub tls: EmailTls,
    /// Who Alf is there, and the file with the password.
    pub login: Option<(String, FileSetting)>,
    /// Who mail is from.
    pub from: String,
}

/// How mail is encrypted on its way to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmailTls {
    /// By STARTTLS, or not sent.
    Required,
    /// By STARTTLS where the server has it.
    Optional,
    /// From the start.
    Implicit,
    /// Not.
    None,
}

impl Merged {
    pub(super) fn actions(&self) -> Result<ActionsSettings, SettingsError> {
        Ok(ActionsSettings {
            allow_private: self.required("actions.allow_private", values::networks)?,
            ca_file: self.file("actions.ca_file")?,
            spool_limit: self.required("actions.spool_limit", values::bytes)?,
        })
    }

    /// None where no server is named.
    pub(super) fn email(&self) -> Result<Option<EmailSettings>, SettingsError> {
        let server = self.optional("email.server", values::host)?;
        let port = self.optional("email.port", values::port)?;
        let tls = self.required("email.tls", values::email_tls)?;
        let user = self.optional("email.user", values::user)?;
        let password_file = self.file("email.password_file")?;
        let from = self.optional("email.from", values::mailbox)?;
        let alone = |set, missing| SettingsError::Alone { set, origin: self.origin(set), missing };
        let login = match (user, password_file) {
            (Some(user), Some(file)) => Some((user, file)),
            (Some(_), None) => return Err(alone("email.user", "email.password_file")),
            (None, Some(_)) => return Err(alone("email.password_file", "email.user")),
            (None, None) => None,
        };
        match (server, from) {
            (Some(server), Some(from)) => Ok(Some(EmailSettings { server, port, tls, login, from })),
            (Some(_), None) => Err(alone("email.server", "email.from")),
            (None, Some(_)) => Err(alone("email.from", "email.server")),
            (None, None) => Ok(None),
        }
    }

    /// A file whose content only its use can judge, if the key is set.
    pub(super) fn file(&self, name: &'static str) -> Result<Option<FileSetting>, SettingsError> {
        let path: Option<PathBuf> = self.path(name)?;
        Ok(path.map(|path| FileSetting { path, name, origin: self.origin(name) }))
    }
}
