//! Logging: what the `log` macros say goes through env_logger to several outputs, each with its own levels and format,
//! set up by a YAML file (`config/logging.yaml` shows every option).
//!
//! The global logger can be set once in a process, so [`install`] sets one that hands records on to outputs which
//! [`LogHandle::reload`] swaps.

mod config;
mod format;
mod output;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;

pub use config::{Colour, Destination, Format, LoggingConfig, Output};
use output::Outputs;

/// Why logging is not, or not anew, set up. Displays as one line.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    #[error("logging file {path} cannot be read: {reason}; allowed is a readable YAML file")]
    Read { path: String, reason: String },
    #[error("logging file {path}: {fault}")]
    Invalid {
        path: String,
        /// Begins with the place: `line 3 column 5: …` or `outputs[1]: …`.
        fault: String,
    },
    #[error(
        "log file {path} of outputs[{index}] cannot be opened: {reason}; allowed is a file that can be appended to"
    )]
    Open { path: String, index: usize, reason: String },
    #[error("logging is already installed; a process has one logger")]
    AlreadyInstalled,
}

/// Sets the process's logger.
///
/// # Errors
/// A log file that cannot be opened, or a logger that was set before.
pub fn install(config: LoggingConfig) -> Result<LogHandle, LoggingError> {
    let outputs = Arc::new(Outputs::open(&config)?);
    log::set_boxed_logger(Box::new(Arc::clone(&outputs))).map_err(|_| LoggingError::AlreadyInstalled)?;
    log::set_max_level(outputs.max_level());
    Ok(LogHandle { outputs, path: config.path })
}

/// The installed logger.
#[derive(Clone)]
pub struct LogHandle {
    outputs: Arc<Outputs>,
    path: Option<PathBuf>,
}

impl LogHandle {
    /// Reads the logging file again, reopens log files and swaps levels and outputs at once. Blocks on the file system.
    ///
    /// # Errors
    /// A fault in the file, or a log file that cannot be opened; what was in effect then stays.
    pub fn reload(&self) -> Result<(), LoggingError> {
        self.outputs.reopen(&LoggingConfig::load(self.path.as_deref())?)?;
        log::set_max_level(self.outputs.max_level());
        Ok(())
    }
}
