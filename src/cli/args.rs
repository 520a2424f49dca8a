//! What a person may type.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(super) use super::action_test::ActionTestArgs;
pub(super) use super::args_add::{HostAddArgs, ProgramPutArgs, TaskAddArgs};
pub(super) use super::args_apply::{ApplyArgs, DiffArgs, EditArgs};
pub(super) use super::args_results::{CancelArgs, ResultArgs, ResultsArgs, RunsArgs};
pub(super) use super::args_tend::{AckArgs, DowntimeArgs, EventsArgs, ProblemsArgs};
pub(super) use super::audit::AuditArgs;
pub(super) use super::completions::CompletionsArgs;
pub(super) use super::key_args::KeyVerb;
pub(super) use super::man::ManArgs;
pub(super) use super::notifications::NotificationsArgs;
pub(super) use super::run_args::{ExecArgs, RunArgs};
use super::secret_args::SecretVerb;
use super::store_args::StoreArgs;
use super::trust_args::TrustVerb;
use super::watch::WatchArgs;
use crate::model::{CronLine, Limit, Name, Selector, Timezone};

/// Scheduled tasks on remote hosts over SSH: monitored, judged, stored.
#[derive(Debug, Parser)]
#[command(
    name = "alf",
    version,
    propagate_version = false,
    arg_required_else_help = true,
    after_help = "First steps:\n  alf serve &\n  alf host add web1\n  alf task add load --command uptime --on web1 --cron '*/5 * * * *'\n  alf run web1 load\n  alf status\n\n\
        Environment: ALF_URL and ALF_API_KEY name the service and the key to it, ALF_CA_FILE its own CA; else the service of the local data directory (ALF_DATA_DIR) and its admin.key are used. NO_COLOR turns colours off.\n\n\
        Exit codes: 0 ok, 1 failed (run: a PROBLEM), 2 usage, 4 not authorised, 5 cannot reach the service."
)]
pub struct Cli {
    /// What every command takes.
    #[command(flatten)]
    pub options: Options,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Common options")]
pub struct Options {
    /// The service, for example http://127.0.0.1:8253 [env: ALF_URL]
    #[arg(long, global = true, value_name = "URL")]
    pub url: Option<String>,
    /// A file with CAs (PEM) that vouch for an https:// service, beside those of the system [env: ALF_CA_FILE]
    #[arg(long, global = true, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// The data directory of the service on this machine [env: ALF_DATA_DIR] [default: $XDG_STATE_HOME/alf]
    #[arg(long, global = true, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// How data is written: table, wide, json, xml, yaml or name [default: table]
    #[arg(short, long, global = true, value_enum, value_name = "FORMAT", hide_possible_values = true)]
    pub output: Option<Format>,
    /// Show times in UTC, not in local time
    #[arg(long, global = true)]
    pub utc: bool,
}

/// How data is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Columns for people.
    Table,
    /// More columns.
    Wide,
    /// JSON.
    Json,
    /// XML, as the service writes it.
    Xml,
    /// YAML.
    Yaml,
    /// Names only, one a line.
    Name,
}

/// The verbs: the service itself, or something asked of it.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the service
    #[command(after_help = "Example:\n  alf serve --listen 127.0.0.1:8253")]
    Serve(ServeArgs),
    /// Check the settings that `serve` would have, and show them
    #[command(after_help = "Example:\n  alf check-config --config /etc/alf/alf.toml")]
    CheckConfig(ServeArgs),
    /// The store itself: size, retention, backup, another place; on the machine of the service
    #[command(arg_required_else_help = true)]
    Store(StoreArgs),
    /// Something asked of a service.
    #[command(flatten)]
    Client(ClientCommand),
}

/// What `serve` and `check-config` take, beside `--data-dir`.
#[derive(Debug, Clone, Default, Args)]
pub struct ServeArgs {
    /// A file with settings: TOML, YAML or JSON
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where to listen
    #[arg(long, value_name = "ADDR:PORT")]
    pub listen: Option<String>,
    /// The name of this node
    #[arg(long, value_name = "NAME")]
    pub node: Option<String>,
}

/// What is asked of a service.
#[derive(Debug, Subcommand)]
pub enum ClientCommand {
    /// Run a task on a host now, or on all hosts of a selector; its output is this command's
    #[command(
        override_usage = "alf run [OPTIONS] HOST TASK [-- ARG...]\n       alf run [OPTIONS] -l SELECTOR TASK [-- ARG...]",
        after_help = "Examples:\n  alf run web1 load\n  alf run -l role=web load\n  alf run -l role=web load --group"
    )]
    Run(RunArgs),
    /// Run a command on a host now, or on all hosts of a selector; its output is this command's
    #[command(
        override_usage = "alf exec [OPTIONS] HOST -- CMD...\n       alf exec [OPTIONS] -l SELECTOR -- CMD...",
        after_help = "Examples:\n  alf exec web1 -- df -h /var\n  alf exec web1 -- 'dmesg | tail -3'\n  alf exec -l role=web --script check.sh -- --verbose\n  alf exec -l role=web --group -- uname -r"
    )]
    Exec(Box<ExecArgs>),
    /// Make Alf like what files say, all of it or nothing, and tell what was changed
    #[command(
        after_help = "Examples:\n  alf apply -f hosts.yaml tasks.yaml\n  alf apply -f fleet/ --dry-run\n  alf apply -f fleet/ --prune managed-by=git\n  alf export | ssh other alf apply -f -"
    )]
    Apply(ApplyArgs),
    /// How Alf differs from what files say; exit code 0: not at all, 1: it does, 2: they cannot be told apart
    #[command(after_help = "Example:\n  alf diff -f fleet/ --prune managed-by=git")]
    Diff(DiffArgs),
    /// All definitions, in the form that apply takes; secrets and the files of programs are left out
    #[command(after_help = "Examples:\n  alf export > fleet.yaml\n  alf export -o xml")]
    Export,
    /// How each task stands on each host
    #[command(
        after_help = "Examples:\n  alf status\n  alf status web1\n  alf status --outcome PROBLEM -l role=web\n  alf status -w"
    )]
    Status(StatusArgs),
    /// What became of runs, newest first
    #[command(after_help = "Examples:\n  alf results --host web1 --since 2h\n  alf results -f --outcome PROBLEM")]
    Results(Box<ResultsArgs>),
    /// One Result with its output, or what Actions came to for it
    #[command(
        after_help = "Examples:\n  alf result 019ab8c4-5d20-7000-8c3e-2b1f0a9d4e77 --stdout | less\n  alf result 019ab8c4-5d20-7000-8c3e-2b1f0a9d4e77 --trace"
    )]
    Result(ResultArgs),
    /// Who was told what by Actions, and what was not told, and why, newest first
    #[command(
        after_help = "Examples:\n  alf notifications --since 12h\n  alf notifications --contact anna --outcome held\n  alf notifications -f"
    )]
    Notifications(Box<NotificationsArgs>),
    /// What is running or queued
    #[command(after_help = "Examples:\n  alf runs\n  alf runs -w")]
    Runs(RunsArgs),
    /// Cancel a run: kills its processes on the host
    #[command(after_help = "Example:\n  alf cancel 019ab8c4-5d20-7000-8c3e-2b1f0a9d4e77")]
    Cancel(CancelArgs),
    /// What happens, as it happens: Results, changes of state, hosts that come and go, who was told
    #[command(after_help = "Examples:\n  alf events -f\n  alf events --host web1 -o json")]
    Events(EventsArgs),
    /// PROBLEMs that nobody has taken on: not acknowledged, not in a downtime
    #[command(after_help = "Examples:\n  alf problems\n  alf problems --all -l env=prod\n  alf problems --watch=10")]
    Problems(ProblemsArgs),
    /// Acknowledge the PROBLEM of a task on a host, or of a host: somebody knows of it
    #[command(
        after_help = "Examples:\n  alf ack web1 disk -m 'new disk is ordered' --for 2d\n  alf ack web1 -m 'being moved' --sticky\n  alf ack web1 disk --remove"
    )]
    Ack(AckArgs),
    /// Downtimes: when work goes on at hosts, so that nobody is told of their PROBLEMs
    #[command(
        alias = "downtimes",
        arg_required_else_help = true,
        after_help = "Examples:\n  alf downtime web1 --for 2h -m 'kernel update'\n  alf downtime -l role=db --task backup --for 30m --pause -m 'moving the disks'\n  alf downtime list"
    )]
    Downtime(Box<DowntimeArgs>),
    /// Stop all firing: schedules run nothing until `alf resume`
    #[command(after_help = "Example:\n  alf pause")]
    Pause,
    /// Let schedules run again
    #[command(after_help = "Example:\n  alf resume")]
    Resume,
    /// Hosts: machines reached over SSH
    #[command(alias = "hosts", arg_required_else_help = true)]
    Host {
        /// What to do.
        #[command(subcommand)]
        verb: HostVerb,
    },
    /// Tasks: what to run
    #[command(alias = "tasks", arg_required_else_help = true)]
    Task {
        /// What to do.
        #[command(subcommand)]
        verb: TaskVerb,
    },
    /// Programs: files that tasks run on hosts
    #[command(alias = "programs", arg_required_else_help = true)]
    Program {
        /// What to do.
        #[command(subcommand)]
        verb: ProgramVerb,
    },
    /// Schedules: when
    #[command(alias = "schedules", arg_required_else_help = true)]
    Schedule {
        /// What to do.
        #[command(subcommand)]
        verb: NounVerb,
    },
    /// Host-tasks: which hosts a task is for
    #[command(alias = "host-tasks", arg_required_else_help = true)]
    HostTask {
        /// What to do.
        #[command(subcommand)]
        verb: NounVerb,
    },
    /// Task-schedules: when a task runs on its hosts
    #[command(alias = "task-schedules", arg_required_else_help = true)]
    TaskSchedule {
        /// What to do.
        #[command(subcommand)]
        verb: NounVerb,
    },
    /// Contacts: who is told
    #[command(alias = "contacts", arg_required_else_help = true)]
    Contact {
        /// What to do.
        #[command(subcommand)]
        verb: NounVerb,
    },
    /// Actions: what follows when something happens
    #[command(alias = "actions", arg_required_else_help = true)]
    Action {
        /// What to do.
        #[command(subcommand)]
        verb: ActionVerb,
    },
    /// Credentials: how to log in
    #[command(alias = "credentials", arg_required_else_help = true)]
    Credential {
        /// What to do.
        #[command(subcommand)]
        verb: NounVerb,
    },
    /// Keys: who may call the API
    #[command(alias = "keys", arg_required_else_help = true)]
    Key {
        /// What to do.
        #[command(subcommand)]
        verb: KeyVerb,
    },
    /// Secrets: texts that are named where they are needed
    #[command(alias = "secrets", arg_required_else_help = true)]
    Secret {
        /// What to do.
        #[command(subcommand)]
        verb: SecretVerb,
    },
    /// Crontab lines
    #[command(arg_required_else_help = true)]
    Cron {
        /// What to do.
        #[command(subcommand)]
        verb: CronVerb,
    },
    /// Who changed or started what, newest first
    #[command(after_help = "Examples:\n  alf audit --since 2h\n  alf audit --noun host --name web1")]
    Audit(AuditArgs),
    /// Figures of the service
    #[command(after_help = "Example:\n  alf stats -o json")]
    Stats,
    /// The actors of the service, and what ails them
    #[command(after_help = "Examples:\n  alf health\n  alf health web1")]
    Health(HealthArgs),
    /// What makes a shell complete verbs, flags, and names of the service
    #[command(
        after_help = "Examples:\n  source <(alf completions bash)             # in ~/.bashrc\n  source <(alf completions zsh)              # in ~/.zshrc, after compinit\n  alf completions fish | source              # in ~/.config/fish/config.fish\n  eval (alf completions elvish | slurp)      # in ~/.config/elvish/rc.elv\n  alf completions powershell | Out-String | Invoke-Expression     # in $PROFILE"
    )]
    Completions(CompletionsArgs),
    /// The manual page, or all of them
    #[command(after_help = "Examples:\n  alf man | man -l -\n  alf man --dir ~/.local/share/man/man1")]
    Man(ManArgs),
}

/// What can be done with every noun.
#[derive(Debug, Subcommand)]
pub enum NounVerb {
    /// List all, by name
    #[command(after_help = "Examples:\n  alf host list -l role=web -o wide\n  alf tasks list -o name")]
    List(ListArgs),
    /// Show one
    #[command(after_help = "Example:\n  alf host get web1 -o yaml")]
    Get(NameArgs),
    /// Create from a file
    #[command(after_help = "Examples:\n  alf host create -f web.yaml\n  alf task create -f - < task.json")]
    Create(CreateArgs),
    /// Edit one with $VISUAL or $EDITOR, as YAML
    #[command(after_help = "Example:\n  alf host edit web1")]
    Edit(EditArgs),
    /// Delete
    #[command(after_help = "Example:\n  alf task delete load --cascade")]
    Delete(DeleteArgs),
}

/// What can be done with hosts.
#[derive(Debug, Subcommand)]
pub enum HostVerb {
    /// Add a host as `ssh` knows it: address, port, user and key are those of your ssh_config
    #[command(
        after_help = "Examples:\n  alf host add web1\n  alf host add deploy@web1.example.org:2222 --label role=web"
    )]
    Add(HostAddArgs),
    /// What can be done about whom to trust, and about a host that makes trouble.
    #[command(flatten)]
    Trust(TrustVerb),
    /// What can be done with every noun.
    #[command(flatten)]
    Common(NounVerb),
}

/// What can be done with tasks.
#[derive(Debug, Subcommand)]
pub enum TaskVerb {
    /// Add one line of a crontab: a task, its hosts and its schedule
    #[command(
        after_help = "Examples:\n  alf task add load --command uptime --on web1 --cron '*/5 * * * *'\n  alf task add backup --command /usr/local/bin/backup -l role=db --cron '30 2 * * *' --timezone Europe/Madrid\n  alf task add disks --script disks.py --interpreter 'python3 -u' --arg /srv --on web1 --cron @hourly"
    )]
    Add(Box<TaskAddArgs>),
    /// What can be done with every noun.
    #[command(flatten)]
    Common(NounVerb),
}

/// What can be done with Actions.
#[derive(Debug, Subcommand)]
pub enum ActionVerb {
    /// Show what an Action would do about a stored Result; nothing is sent
    #[command(after_help = "Example:\n  alf action test page-oncall 019ab8c4-5d20-7000-8c3e-2b1f0a9d4e77")]
    Test(ActionTestArgs),
    /// What can be done with every noun.
    #[command(flatten)]
    Common(NounVerb),
}

/// What can be done with programs.
#[derive(Debug, Subcommand)]
pub enum ProgramVerb {
    /// List all, by name
    #[command(after_help = "Example:\n  alf program list -o wide")]
    List(ListArgs),
    /// Show one; its file stays with the service
    #[command(after_help = "Example:\n  alf program get probe -o yaml")]
    Get(NameArgs),
    /// Upload a file as a new program
    #[command(after_help = "Examples:\n  alf program create probe ./probe\n  alf program create probe -f ./probe")]
    Create(ProgramPutArgs),
    /// Upload a file: as a new program, or in the place of the one that is there
    #[command(after_help = "Example:\n  alf program put probe ./probe")]
    Put(ProgramPutArgs),
    /// Edit what is said of one with $VISUAL or $EDITOR, as YAML
    #[command(after_help = "Example:\n  alf program edit probe")]
    Edit(EditArgs),
    /// Delete
    #[command(after_help = "Example:\n  alf program delete probe")]
    Delete(DeleteArgs),
}

/// What can be done with crontab lines.
#[derive(Debug, Subcommand)]
pub enum CronVerb {
    /// Say in words when a line is due, and its next instants; needs no service
    #[command(after_help = "Example:\n  alf cron explain '30 2 * * mon-fri' --timezone Europe/Madrid --count 3")]
    Explain(ExplainArgs),
}

/// What `list` takes.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Only those that a selector over labels chooses, for example role=web,env!=dev
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    pub selector: Option<Selector>,
    /// Only those that hold this text
    #[arg(short, long, value_name = "TEXT")]
    pub query: Option<String>,
    /// Again and again.
    #[command(flatten)]
    pub watch: WatchArgs,
}

/// What `get` takes.
#[derive(Debug, Args)]
pub struct NameArgs {
    /// The name
    #[arg(value_parser = Name::parse_link)]
    pub name: Name,
}

/// What `create` takes.
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// A file with one or many: YAML (`---` between), JSON (an array) or XML (one); - is stdin
    #[arg(short, long, value_name = "FILE")]
    pub file: PathBuf,
}

/// What `delete` takes.
#[derive(Debug, Args)]
pub struct DeleteArgs {
    /// The names
    #[arg(required = true, value_parser = Name::parse_link, value_name = "NAME")]
    pub names: Vec<Name>,
    /// Delete the links that use it too
    #[arg(long)]
    pub cascade: bool,
}

/// What `status` takes.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Only this host, and how it stands itself
    #[arg(value_parser = Name::parse)]
    pub host: Option<Name>,
    /// Only this task of it
    #[arg(value_parser = Name::parse, conflicts_with_all = ["selector", "state", "outcome"])]
    pub task: Option<Name>,
    /// Only hosts of a selector
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    pub selector: Option<Selector>,
    /// Only those in this state; PENDING are those that never ran
    #[arg(long, ignore_case = true, value_parser = ["OK", "WARNING", "CRITICAL", "UNKNOWN", "PENDING"])]
    pub state: Option<String>,
    /// Only those with this outcome
    #[arg(long, ignore_case = true, value_parser = ["OK", "PROBLEM"])]
    pub outcome: Option<String>,
    /// Again and again.
    #[command(flatten)]
    pub watch: WatchArgs,
}

/// What `health` takes.
#[derive(Debug, Args)]
pub struct HealthArgs {
    /// Only the branch of this host
    #[arg(value_parser = Name::parse)]
    pub host: Option<Name>,
}

/// What `cron explain` takes.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The line, in quotes
    pub line: CronLine,
    /// The time zone whose wall clock it follows
    #[arg(long, value_name = "TZ", default_value = "UTC")]
    pub timezone: Timezone,
    /// How many instants
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub count: u16,
}

pub(super) fn parse_limit(text: &str) -> Result<Limit, String> {
    match text {
        "none" => Ok(Limit::None),
        text => text.parse().map(Limit::After).map_err(|error| format!("{error}, or none")),
    }
}
