//! What can go wrong in a command, and the exit code it has.

use std::io;

use super::problem::Problem;

/// How a command ended; the number is the exit code of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Ok,
    /// It failed; for `run` also: the Result is a PROBLEM.
    Failed,
    /// The command line makes no sense.
    Usage,
    /// No key, or not one that may do this.
    NotAuthorised,
    /// The service does not answer.
    Unreachable,
}

impl Exit {
    /// The exit code of the process.
    pub fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NotAuthorised => 4,
            Self::Unreachable => 5,
        }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why a command did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum CliError {
    /// What was asked for makes no sense.
    #[error("{0}")]
    Usage(String),
    /// There is no key to show.
    #[error("{0}")]
    NoKey(String),
    /// The service does not answer.
    #[error(
        "cannot reach the service at {url}: {cause}; start it with `alf serve`, or set ALF_URL or --url to where it runs"
    )]
    Unreachable { url: String, cause: String },
    /// The service went away in the middle.
    #[error("the service at {url} went away before it had answered: {cause}")]
    BrokenOff { url: String, cause: String },
    /// The same, and it did not come back in time to say what it had done.
    #[error(
        "{0}; it is not known whether it did what it was asked to: when it is back, `alf runs`, `alf results` and `alf audit` show what it did"
    )]
    InDoubt(Box<CliError>),
    /// The service answered, and refused.
    #[error("{0}")]
    Problem(Problem),
    /// Anything else.
    #[error("{0}")]
    Failed(String),
    /// Standard output.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}

impl CliError {
    /// The exit code that goes with it.
    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) => Exit::Usage,
            Self::NoKey(_) => Exit::NotAuthorised,
            Self::Unreachable { .. } | Self::BrokenOff { .. } | Self::InDoubt(_) => Exit::Unreachable,
            Self::Problem(problem) if matches!(problem.status, 401 | 403) => Exit::NotAuthorised,
            Self::Problem(_) | Self::Failed(_) | Self::Output(_) => Exit::Failed,
        }
    }

    /// Whether no answer came.
    pub(super) fn is_away(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::BrokenOff { .. } | Self::InDoubt(_))
    }

    /// Whether no answer came, or one that the service is not ready for it.
    pub(super) fn may_pass(&self) -> bool {
        self.is_away() || matches!(self, Self::Problem(problem) if problem.status == 503)
    }

    /// Whether the service said that it is in use, or taken.
    pub(super) fn is_conflict(&self) -> bool {
        matches!(self, Self::Problem(problem) if problem.status == 409)
    }

    /// Whether the service said that there is no such thing.
    pub(super) fn is_not_found(&self) -> bool {
        matches!(self, Self::Problem(problem) if problem.status == 404)
    }
}
