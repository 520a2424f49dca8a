//! What Alf's own SSH engine costs against a real sshd: one measurement a call, one line of JSON. `script/bench ssh`
//! starts the sshd, calls this and what it is compared with in turn, and makes the table.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program of its own: the figures go to standard output, what went wrong to standard error"
)]

mod support;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use alf::clock::Clock;
use alf::model::{HostKeyPolicy, Name, PublicKey};
use alf::ssh::client::RusshConnector;
use alf::ssh::output::LiveOutput;
use alf::ssh::{Connector, End, Exec, Limits, Login, Session, Target};
use clap::{Parser, Subcommand};
use futures_util::StreamExt;
use futures_util::stream;
use serde_json::{Value, json};
use support::{Failure, cpu_ms, memory_kib, percentiles, read};
use tokio::time::Instant;

/// Bytes of output kept of each stream, as by default.
const KEPT: usize = 262_144;

/// Connections made before memory is looked at: what the first ones cost once is not what each costs.
const WARM_UP: usize = 20;

#[derive(Parser)]
#[command(about = "Measures Alf's SSH engine against an sshd on this machine; prints one line of JSON")]
struct Arguments {
    /// The sshd's port on 127.0.0.1.
    #[arg(long, global = true, default_value_t = 22)]
    port: u16,
    /// The user to log in as.
    #[arg(long, global = true, default_value = "root")]
    user: String,
    /// The private key that lets in.
    #[arg(long, global = true, default_value = "login_key")]
    key: PathBuf,
    /// The file with the sshd's public key.
    #[arg(long, global = true, default_value = "host_key.pub")]
    host_key: PathBuf,
    /// Cargo says so; it means nothing here.
    #[arg(long, global = true, hide = true)]
    bench: bool,
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Subcommand)]
enum What {
    /// Runs of a command over one connection.
    Exec {
        /// How many.
        #[arg(long, default_value_t = 1000)]
        runs: usize,
        /// How many at once.
        #[arg(long, default_value_t = 5)]
        at_once: usize,
        /// What.
        #[arg(long, default_value = "true")]
        command: String,
    },
    /// Memory of connections that do nothing.
    Idle {
        /// How many.
        #[arg(long, default_value_t = 220)]
        connections: usize,
    },
    /// Logins that all begin at once.
    Storm {
        /// How many.
        #[arg(long, default_value_t = 500)]
        connections: usize,
    },
    /// Output without end through one session, and what it does to the others of its connection.
    Flood {
        /// How much, in MiB.
        #[arg(long, default_value_t = 2048)]
        mib: u64,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // `cargo bench` without more starts every bench; this one needs an sshd.
    let Some(what) = &arguments.what else {
        eprintln!("ssh: nothing measured: run script/bench ssh");
        return ExitCode::SUCCESS;
    };
    // One thread, as an arbiter has in Alf: all connections of a host live on one.
    let measured = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(measure(&arguments, what)),
        Err(error) => Err(error.into()),
    };
    match measured {
        Ok(figures) => {
            println!("{figures}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("ssh: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(arguments: &Arguments, what: &What) -> Result<Value, Failure> {
    let bench = Bench::new(arguments)?;
    match what {
        What::Exec { runs, at_once, command } => bench.exec(*runs, *at_once, command).await,
        What::Idle { connections } => bench.idle(*connections).await,
        What::Storm { connections } => bench.storm(*connections).await,
        What::Flood { mib } => bench.flood(*mib).await,
    }
}

struct Bench {
    connector: RusshConnector,
    target: Target,
}

impl Bench {
    fn new(arguments: &Arguments) -> Result<Self, Failure> {
        let limits = Limits {
            connect: Duration::from_secs(60),
            login: Duration::from_secs(60),
            keepalive_interval: Duration::from_secs(15),
            keepalive_max: 3,
            known_hosts: Vec::new(),
        };
        let key: PublicKey = read(&arguments.host_key)?.parse()?;
        let target = Target {
            host: Name::parse("bench")?,
            address: "127.0.0.1".to_owned(),
            port: arguments.port,
            user: arguments.user.clone(),
            login: Login::KeyFile { path: arguments.key.clone(), passphrase: None },
            policy: HostKeyPolicy::Strict,
            keys: vec![key],
            via: None,
            leads_on: false,
        };
        Ok(Self { connector: RusshConnector::new(limits, Clock::Wall), target })
    }

    async fn connect(&self) -> Result<Arc<dyn Session>, Failure> {
        Ok(self.connector.connect(self.target.clone()).await?.session)
    }

    async fn exec(&self, runs: usize, at_once: usize, command: &str) -> Result<Value, Failure> {
        let session = self.connect().await?;
        expect_success(&*session, command).await?;
        let (cpu, begun, refused) = (cpu_ms()?, Instant::now(), session.refused());
        let failed = stream::iter(0..runs)
            .map(|_| expect_success(&*session, command))
            .buffer_unordered(at_once)
            .filter_map(async |done| done.err())
            .count()
            .await;
        let (seconds, cpu) = (begun.elapsed().as_secs_f64(), cpu_ms()? - cpu);
        let refused = session.refused() - refused;
        session.close().await;
        let at_once = at_once as u64;
        Ok(json!({"runs": runs, "at_once": at_once, "failed": failed, "refused": refused, "seconds": seconds,
            "cpu_ms": cpu}))
    }

    async fn idle(&self, connections: usize) -> Result<Value, Failure> {
        let mut open = Vec::new();
        for _ in 0..WARM_UP {
            open.push(self.connect().await?);
        }
        let before = memory_kib("VmRSS")?;
        for _ in 0..connections {
            open.push(self.connect().await?);
        }
        let kib = memory_kib("VmRSS")?.saturating_sub(before);
        stream::iter(&open).for_each_concurrent(50, async |session| session.close().await).await;
        Ok(json!({"connections": connections, "kib": kib, "kib_each": kib as f64 / connections as f64}))
    }

    async fn storm(&self, connections: usize) -> Result<Value, Failure> {
        let (cpu, begun) = (cpu_ms()?, Instant::now());
        let connected: Vec<_> =
            stream::iter(0..connections).map(|_| self.connect()).buffer_unordered(connections).collect().await;
        let (seconds, cpu) = (begun.elapsed().as_secs_f64(), cpu_ms()? - cpu);
        let (open, errors): (Vec<_>, Vec<_>) = connected.into_iter().partition(Result::is_ok);
        if let Some(Err(error)) = errors.first() {
            eprintln!("ssh: the first of the errors: {error}");
        }
        stream::iter(open.iter().flatten()).for_each_concurrent(50, async |session| session.close().await).await;
        Ok(json!({"connections": connections, "errors": errors.len(), "seconds": seconds, "cpu_ms": cpu}))
    }

    async fn flood(&self, mib: u64) -> Result<Value, Failure> {
        let session = self.connect().await?;
        let mut quiet = Vec::new();
        for _ in 0..200 {
            quiet.push(self.one_run(&*session).await?);
        }
        let before = memory_kib("VmHWM")?;
        let begun = Instant::now();
        let output = LiveOutput::new(KEPT);
        let flood = Exec { output, ..run(&format!("head -c {} /dev/zero", mib * 1_048_576)) };
        let flood = session.exec(flood);
        tokio::pin!(flood);
        let mut meanwhile = Vec::new();
        let ending = loop {
            tokio::select! {
                ending = &mut flood => break ending,
                took = self.one_run(&*session) => meanwhile.push(took?),
            }
        };
        let seconds = begun.elapsed().as_secs_f64();
        if ending.stdout.total != mib * 1_048_576 || ending.end != End::Exited(0) {
            return Err(format!("{} bytes came, the end was {:?}", ending.stdout.total, ending.end).into());
        }
        let grown = memory_kib("VmHWM")?.saturating_sub(before);
        session.close().await;
        Ok(json!({"mib": mib, "seconds": seconds, "kib": grown, "runs": meanwhile.len(),
            "quiet_ms": percentiles(quiet), "flood_ms": percentiles(meanwhile)}))
    }

    /// Milliseconds that one run of `true` takes from order to answer.
    async fn one_run(&self, session: &dyn Session) -> Result<f64, Failure> {
        let begun = Instant::now();
        expect_success(session, "true").await?;
        Ok(begun.elapsed().as_secs_f64() * 1000.0)
    }
}

/// A run as Alf orders it for a task that has nothing of its own in the environment.
fn run(command: &str) -> Exec {
    let id = uuid::Uuid::now_v7().to_string();
    let env = vec![("ALF_HOST".to_owned(), "bench".to_owned()), ("ALF_TASK".to_owned(), "bench".to_owned())];
    Exec { env, ..Exec::command(id, command) }
}

async fn expect_success(session: &dyn Session, command: &str) -> Result<(), Failure> {
    match session.exec(run(command)).await.end {
        End::Exited(0) => Ok(()),
        other => Err(format!("`{command}` did not succeed: {other:?}").into()),
    }
}
