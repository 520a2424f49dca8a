//! Arguments → settings → logging → the service or the command line → exit code.

use std::io::Write as _;
use std::process::ExitCode;

use alf::cli::{self, Cli, Command, Context, Options, ServeArgs};
use alf::clock::Clock;
use alf::logging::{self, LoggingConfig};
use alf::serve::{self, serve};
use alf::settings::{self, Flags, Settings};
use alf::upkeep;

/// What is wrong with the settings (sysexits.h: `EX_USAGE`).
const BAD_SETTINGS: u8 = 64;

fn main() -> ExitCode {
    let data_dir = settings::data_dir(None, settings::environment()).ok();
    let Cli { options, command } = cli::parse(data_dir, Clock::Wall.now());
    match command {
        Command::Serve(args) => start(args, options),
        Command::CheckConfig(args) => load(args, options).map_or_else(
            |error| failed(&error, BAD_SETTINGS),
            |(settings, ..)| u8::from(std::io::stdout().write_all(settings.effective().as_bytes()).is_err()).into(),
        ),
        Command::Store(args) => upkeep::run(args, options),
        Command::Client(command) => {
            let data_dir = settings::data_dir(options.data_dir.as_deref(), settings::environment()).ok();
            let context = Context::of_process(data_dir, Clock::Wall.now());
            actix_rt::System::new().block_on(cli::run(command, options, context)).into()
        }
    }
}

fn start(args: ServeArgs, options: Options) -> ExitCode {
    let (settings, logging, certificates) = match load(args, options) {
        Ok(loaded) => loaded,
        Err(error) => return failed(&error, BAD_SETTINGS),
    };
    match logging::install(logging) {
        Ok(log) => serve(settings, certificates, &log).unwrap_or_else(|error| failed(&error, 1)),
        Err(error) => failed(&error, 1),
    }
}

type Loaded = (Settings, LoggingConfig, serve::Certificates);

fn load(args: ServeArgs, options: Options) -> Result<Loaded, Box<dyn std::error::Error>> {
    let flags = Flags { config: args.config, data_dir: options.data_dir, listen: args.listen, node: args.node };
    let settings = Settings::load(&flags, settings::environment())?;
    let logging = LoggingConfig::load(settings.logging.file.as_deref())?;
    let certificates = serve::certificates(&settings)?;
    Ok((settings, logging, certificates))
}

fn failed(error: &dyn std::fmt::Display, code: u8) -> ExitCode {
    // Nobody is left to tell when stderr is closed.
    let _ = writeln!(std::io::stderr(), "error: {error}");
    ExitCode::from(code)
}
