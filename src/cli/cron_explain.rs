//! `alf cron explain`: a line in words and its next instants, without a service.

use chrono::SecondsFormat;
use quick_xml::escape::escape;

use super::args::{ExplainArgs, Format};
use super::doc::Doc;
use super::error::{CliError, Exit};
use super::session::Session;
use super::show;

pub(super) fn run(args: &ExplainArgs, session: &mut Session) -> Result<Exit, CliError> {
    let (line, zone) = (&args.line, args.timezone);
    let instants: Vec<_> =
        std::iter::successors(line.next_after(zone, session.now), |last| line.next_after(zone, *last))
            .take(usize::from(args.count))
            .collect();
    let utc: Vec<String> = instants.iter().map(|next| next.to_rfc3339_opts(SecondsFormat::Millis, true)).collect();
    let format = session.format();
    let output = &mut session.output;
    match format {
        Format::Table | Format::Wide => {
            let mut fields: Vec<(String, String)> =
                [("line", line.to_string()), ("meaning", line.describe()), ("timezone", zone.name().to_owned())]
                    .map(|(name, value)| (name.to_owned(), value))
                    .into();
            for (index, next) in instants.iter().enumerate() {
                let wall = next.with_timezone(&zone.tz()).format("%a %Y-%m-%d %H:%M:%S %:z");
                let universal = next.to_rfc3339_opts(SecondsFormat::Secs, true);
                let name = if index == 0 { "next" } else { " " };
                fields.push((name.to_owned(), format!("{wall}  =  {universal}")));
            }
            if instants.is_empty() {
                fields.push(("next".to_owned(), "never".to_owned()));
            }
            show::fields(output, &fields)?;
        }
        Format::Name => utc.iter().try_for_each(|next| output.line(next))?,
        // As `GET /schedules/preview` gives it.
        Format::Xml => {
            let items: String = utc.iter().map(|next| format!("<item>{next}</item>")).collect();
            output.line(&format!(
                "<preview><cron>{}</cron><timezone>{}</timezone><description>{}</description><next>{items}</next></preview>",
                escape(line.as_str()),
                escape(zone.name()),
                escape(line.describe()),
            ))?;
        }
        format => {
            let next = Doc::List(utc.into_iter().map(Doc::from).collect());
            let preview = Doc::map([
                ("cron", Some(line.as_str().into())),
                ("timezone", Some(zone.name().into())),
                ("description", Some(line.describe().into())),
                ("next", Some(next)),
            ]);
            show::document(output, format, &preview)?;
        }
    }
    Ok(Exit::Ok)
}
