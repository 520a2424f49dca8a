//! What a person may type about secrets and about whom to trust.

use clap::Subcommand;

/// What can be done with secrets.
#[derive(Debug, Subcommand)]
pub enum SecretVerb {
    /// Change the key that the service encrypts secrets with; all are encrypted anew
    #[command(after_help = "Example:\n  alf secret rotate-key")]
    RotateKey,
}
