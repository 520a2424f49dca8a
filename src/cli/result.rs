//! `alf result`: one Result with its output.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::args::{Format, ResultArgs};
use super::client::API;
use super::columns::{RESULT_ROWS, duration, field, time};
use super::doc::Doc;
use super::error::{CliError, Exit};
use super::session::Session;
use super::show;
use super::table::Table;
use super::text::{Times, escaped_block};
use super::trace;

pub(super) async fn run(args: ResultArgs, session: &mut Session) -> Result<Exit, CliError> {
    let client = session.client().await?;
    let path = format!("{API}/results/{}", args.id);
    if args.trace {
        return trace::run(&client, &path, session).await;
    }
    if args.stdout || args.stderr {
        let stream = if args.stdout { "stdout" } else { "stderr" };
        client.stream(&format!("{path}/{stream}"), &mut session.output).await?;
        return Ok(Exit::Ok);
    }
    if !matches!(session.format(), Format::Table | Format::Wide) {
        show::one(session, &client, &path, &RESULT_ROWS).await?;
        return Ok(Exit::Ok);
    }
    let result = client.get(&path, &[]).await?;
    show::fields(&mut session.output, &fields(&result, session.times))?;
    let metrics = result.list("perfdata");
    if !metrics.is_empty() {
        session.output.line("\nperfdata:")?;
        perfdata(metrics).print(&mut session.output)?;
    }
    for stream in ["stdout", "stderr"] {
        let bytes = output_of(&result, stream)?;
        if !bytes.is_empty() {
            let text = escaped_block(&String::from_utf8_lossy(&bytes));
            let size = extent(&result, stream, bytes.len());
            session.output.line(&format!("\n{stream} ({size}):"))?;
            session.output.line(text.strip_suffix('\n').unwrap_or(&text))?;
        }
    }
    Ok(Exit::Ok)
}

/// What a plugin measured, one thing a row.
fn perfdata(metrics: &[Doc]) -> Table {
    let mut table = Table::new(["LABEL", "VALUE", "UNIT", "WARN", "CRIT", "MIN", "MAX"]);
    for metric in metrics {
        table.row(["label", "value", "unit", "warn", "crit", "min", "max"].map(|name| field(metric, name)));
    }
    table
}

/// The bytes of a stream that a Result kept.
pub(super) fn output_of(result: &Doc, stream: &str) -> Result<Vec<u8>, CliError> {
    let text = result.text(stream).unwrap_or_default();
    match result.text(&format!("{stream}_encoding")) {
        Some("base64") => STANDARD
            .decode(text)
            .map_err(|error| CliError::Failed(format!("the Result's {stream} is not base64: {error}"))),
        _ => Ok(text.as_bytes().to_vec()),
    }
}

/// How much of a stream there is.
pub(super) fn extent(result: &Doc, stream: &str, kept: usize) -> String {
    match result.integer(&format!("{stream}_bytes")) {
        Some(all) if result.is(&format!("{stream}_truncated")) => {
            format!("the first and last halves of {kept} of {all} bytes")
        }
        _ => format!("{kept} bytes"),
    }
}

fn fields(result: &Doc, times: Times) -> Vec<(String, String)> {
    let kill = result.get("kill").map(|kill| field(kill, "detail")).unwrap_or_default();
    let cause = result.get("cause").map(|cause| match cause.text("result") {
        Some(id) => format!("action {} after {id}", field(cause, "action")),
        None => format!("action {}", field(cause, "action")),
    });
    let instants = result.get("instants").map(|instants| {
        format!(
            "{} from {} to {}",
            field(instants, "count"),
            time(instants, "from", times),
            time(instants, "until", times)
        )
    });
    let all = [
        ("id", field(result, "id")),
        ("host", field(result, "host")),
        ("task", field(result, "task")),
        ("outcome", field(result, "outcome")),
        ("state", field(result, "state")),
        ("reason", field(result, "reason")),
        ("message", field(result, "message")),
        ("exit code", field(result, "exit_code")),
        ("signal", field(result, "signal")),
        ("trigger", field(result, "trigger")),
        ("by", field(result, "by")),
        ("group", field(result, "group")),
        ("cause", cause.unwrap_or_default()),
        ("schedule", field(result, "schedule")),
        ("attempt", field(result, "attempt")),
        ("scheduled", time(result, "scheduled_at", times)),
        ("started", time(result, "started_at", times)),
        ("finished", time(result, "finished_at", times)),
        ("took", duration(result, "duration_ms")),
        ("late", duration(result, "lateness_ms")),
        ("node", field(result, "node")),
        ("kill", kill),
        ("instants", instants.unwrap_or_default()),
    ];
    let said = all.into_iter().filter(|(_, value)| !value.is_empty());
    said.map(|(name, value)| (name.to_owned(), value)).collect()
}
