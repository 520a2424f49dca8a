//! `alf program create` and `alf program put`: a file becomes a program.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::args::{Format, ProgramPutArgs};
use super::client::{Accept, Upload};
use super::columns::definitions;
use super::documents::{LARGEST, shown};
use super::error::{CliError, Exit};
use super::nouns::path_of;
use super::session::Session;
use super::show;

use crate::model::Noun;

pub(super) async fn run(args: ProgramPutArgs, is_new: bool, session: &mut Session) -> Result<Exit, CliError> {
    let file = args.path.or(args.file).unwrap_or_else(|| PathBuf::from("-"));
    let upload = open(&file, &mut session.stdin)?;
    let client = session.client().await?;
    let path = path_of(Noun::Program, &args.name);
    let xml = session.chosen_format() == Some(Format::Xml);
    let answer = client.upload(&path, upload, is_new, if xml { Accept::Xml } else { Accept::Json }).await?;
    let done = if answer.status == 201 { "created" } else { "put" };
    match session.chosen_format() {
        Some(Format::Xml) => show::write_xml(&mut session.output, &answer.body)?,
        Some(format) => show::thing(session, format, answer.doc()?, &definitions(Noun::Program))?,
        None => session.output.note(&format!("program \"{}\" {done}", args.name)),
    }
    Ok(Exit::Ok)
}

/// A file is sent as it is read; what has no length of its own is read before it is sent.
fn open(path: &Path, stdin: &mut dyn Read) -> Result<Upload, CliError> {
    let fault = |what: String| CliError::Failed(format!("{}: {what}", shown(path)));
    let unreadable = |error: std::io::Error| fault(format!("cannot be read: {error}"));
    let upload = if path == "-" {
        gathered(stdin).map_err(unreadable)?
    } else {
        let file = std::fs::File::open(path).map_err(unreadable)?;
        let about = file.metadata().map_err(unreadable)?;
        if about.is_file() {
            Upload { bytes: about.len(), from: Box::new(file.take(about.len())) }
        } else {
            gathered(&mut { file }).map_err(unreadable)?
        }
    };
    if upload.bytes > LARGEST {
        return Err(fault(format!("is larger than {LARGEST} bytes (64 MiB)")));
    }
    if upload.bytes == 0 {
        return Err(fault("is empty".to_owned()));
    }
    Ok(upload)
}

fn gathered(from: &mut dyn Read) -> std::io::Result<Upload> {
    let mut bytes = Vec::new();
    from.take(LARGEST + 1).read_to_end(&mut bytes)?;
    Ok(Upload { bytes: bytes.len() as u64, from: Box::new(std::io::Cursor::new(bytes)) })
}
