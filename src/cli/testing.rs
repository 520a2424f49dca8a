//! What the tests of this room share: captured output, and a service that answers what it is told to.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use chrono::{DateTime, FixedOffset};
use clap::Parser as _;

use super::{Cli, Command, Context, run};

/// Output, kept.
#[derive(Clone, Default)]
pub(super) struct Captured(Rc<RefCell<Vec<u8>>>);

impl Captured {
    pub(super) fn bytes(&self) -> Vec<u8> {
        self.0.borrow().clone()
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8(self.bytes()).unwrap()
    }
}

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A writer to the same place.
pub(super) fn captured(to: &Captured) -> Box<dyn Write> {
    Box::new(to.clone())
}

/// A canned answer to one request line such as `GET /api/v1/hosts?limit=1000`.
pub(super) struct Route {
    request: &'static str,
    status: u16,
    content_type: &'static str,
    body: Vec<u8>,
    /// Another header of the answer, with the end of its line.
    header: &'static str,
    used: bool,
}

/// Answers JSON.
pub(super) fn json(request: &'static str, status: u16, body: &str) -> Route {
    route(request, status, "application/json", body.as_bytes())
}

/// Answers a problem.
pub(super) fn problem(request: &'static str, status: u16, detail: &str) -> Route {
    let body = format!(r#"{{"title":"t","status":{status},"detail":"{detail}"}}"#);
    route(request, status, "application/problem+json", body.as_bytes())
}

/// Answers anything.
pub(super) fn route(request: &'static str, status: u16, content_type: &'static str, body: &[u8]) -> Route {
    Route { request, status, content_type, body: body.to_vec(), header: "", used: false }
}

/// Closes the connection in place of an answer.
pub(super) fn cut(request: &'static str) -> Route {
    route(request, CUT, "", b"")
}

/// Cannot do it now, but at once when asked again.
pub(super) fn not_now(request: &'static str, status: u16) -> Route {
    Route { header: "Retry-After: 0\r\n", ..problem(request, status, "not now") }
}

/// In place of a status: there is no answer.
const CUT: u16 = 0;

/// A request as it came.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    /// Method and path with query.
    pub(super) line: String,
    /// The headers, names in lower case.
    pub(super) headers: BTreeMap<String, String>,
    /// The body.
    pub(super) body: String,
}

/// A service that gives canned answers: the first that fits and is not used up, else the last that fits, else 404.
pub(super) struct FakeServer {
    url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl FakeServer {
    pub(super) fn start(routes: Vec<Route>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let ends = Arc::new(AtomicBool::new(false));
        let (log, end) = (Arc::clone(&asked), Arc::clone(&ends));
        let thread = std::thread::spawn(move || {
            let mut routes = routes;
            for stream in listener.incoming() {
                if end.load(Ordering::SeqCst) {
                    return;
                }
                // A client that goes away in the middle is its own affair.
                let _ = answer(stream.unwrap(), &mut routes, &log);
            }
        });
        Self { url, asked, ends, thread: Some(thread) }
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// What was asked so far.
    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// The request lines so far.
    pub(super) fn lines(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.line).collect()
    }
}

impl Drop for FakeServer {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.url.trim_start_matches("http://"));
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn answer(stream: TcpStream, routes: &mut [Route], log: &Mutex<Vec<Asked>>) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let line = first.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
    let mut headers = BTreeMap::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let Some((name, value)) = header.trim_end().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let fits: Vec<usize> = (0..routes.len()).filter(|index| routes[*index].request == line).collect();
    let chosen = fits.iter().find(|index| !routes[**index].used).or(fits.last()).copied();
    log.lock().unwrap().push(Asked { line, headers, body: String::from_utf8_lossy(&body).into_owned() });
    let missing = problem("", 404, "there is no such thing");
    let route = match chosen {
        Some(index) => {
            routes[index].used = true;
            &routes[index]
        }
        None => &missing,
    };
    if route.status == CUT {
        return Ok(());
    }
    let Route { status, content_type, header, body, .. } = route;
    let (mut stream, length) = (reader.into_inner(), body.len());
    write!(stream, "HTTP/1.1 {status} X\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n")?;
    write!(stream, "{header}Connection: close\r\n\r\n")?;
    stream.write_all(body)?;
    stream.flush()
}

/// What a command did.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) code: u8,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: String,
}

impl Done {
    pub(super) fn out(&self) -> &str {
        std::str::from_utf8(&self.stdout).unwrap()
    }
}

/// The world of a test: no terminal, one hour ahead of UTC, on 2026-11-23 at 09:30 UTC.
pub(super) struct World {
    pub(super) environment: BTreeMap<String, String>,
    pub(super) stdin: &'static str,
    pub(super) is_terminal: bool,
    pub(super) ssh: std::path::PathBuf,
}

impl World {
    /// With a service and a key to it.
    pub(super) fn of(server: &FakeServer) -> Self {
        let environment = [("ALF_URL", server.url()), ("ALF_API_KEY", "alf_key")];
        Self {
            environment: environment.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            stdin: "",
            is_terminal: false,
            ssh: "/no/such/ssh".into(),
        }
    }

    /// With a home directory, and a program in place of ssh.
    pub(super) fn with_ssh(mut self, home: &Path, ssh: &Path) -> Self {
        self.environment.insert("HOME".to_owned(), home.to_str().unwrap().to_owned());
        self.ssh = ssh.to_owned();
        self
    }

    /// Runs `alf ARGUMENTS`.
    pub(super) async fn alf(self, arguments: &[&str]) -> Done {
        let cli = match Cli::try_parse_from(["alf"].iter().chain(arguments)) {
            Ok(cli) => cli,
            Err(error) => {
                let code = error.exit_code().try_into().unwrap();
                return Done { code, stdout: Vec::new(), stderr: error.to_string() };
            }
        };
        let Command::Client(command) = cli.command else { panic!("{arguments:?} is not for a client") };
        let (stdout, stderr) = (Captured::default(), Captured::default());
        let context = Context {
            data_dir: None,
            now: DateTime::from_timestamp(1_795_426_200, 0).unwrap(),
            local_offset: |_| FixedOffset::east_opt(3600).unwrap(),
            environment: self.environment,
            stdin: Box::new(self.stdin.as_bytes()),
            stdout: captured(&stdout),
            stderr: captured(&stderr),
            is_terminal: self.is_terminal,
            is_stderr_terminal: false,
            terminal_rows: || Some(24),
            is_interactive: self.is_terminal,
            ssh: self.ssh,
        };
        let exit = run(command, cli.options, context).await;
        Done { code: exit.code(), stdout: stdout.bytes(), stderr: stderr.text() }
    }
}
