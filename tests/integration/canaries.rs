//! Canaries: texts that are secret, put wherever one may be given, and looked for wherever one must not come out.

use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::support::hooks::{Hooks, Reply};
use super::support::http::request;
use super::support::service::{Service, alf, until};
use super::support::sshd::{Options, Sshd};

const JSON: (&str, &str) = ("Content-Type", "application/json");
const XML: (&str, &str) = ("Content-Type", "application/xml");

/// Every path that answers with a document of a definition, a run, or how things stand.
const READ: [&str; 32] = [
    "/api/v1",
    "/api/v1/secrets",
    "/api/v1/credentials",
    "/api/v1/hosts",
    "/api/v1/programs",
    "/api/v1/tasks",
    "/api/v1/schedules",
    "/api/v1/host-tasks",
    "/api/v1/task-schedules",
    "/api/v1/downtimes",
    "/api/v1/contacts",
    "/api/v1/actions",
    "/api/v1/actions/hook",
    "/api/v1/actions/graph",
    "/api/v1/keys",
    "/api/v1/secrets/env-host",
    "/api/v1/credentials/password",
    "/api/v1/hosts/web1",
    "/api/v1/tasks/count",
    "/api/v1/runs",
    "/api/v1/results?limit=1000",
    "/api/v1/status",
    "/api/v1/status/web1",
    "/api/v1/stats",
    "/api/v1/audit",
    "/api/v1/notifications?limit=1000",
    "/api/v1/export",
    "/health/live",
    "/health/ready",
    "/health/actors",
    "/metrics",
    "/openapi.json",
];

/// All canaries that were let out, and all that came back by the API.
struct Cage {
    service: Service,
    hooks: Hooks,
    out: Vec<String>,
    answers: String,
}

impl Cage {
    fn new(logging: &Path) -> Self {
        let service = Service::start_with(&[("ALF_LOGGING__FILE", logging.to_str().unwrap())]);
        Self { service, hooks: Hooks::start(), out: Vec::new(), answers: String::new() }
    }

    /// Another canary.
    fn canary(&mut self) -> String {
        let canary = format!("cAnArY-{:02}-{:08x}", self.out.len(), self.service.pid() ^ 0x5eed_1e55);
        self.out.push(canary.clone());
        canary
    }

    /// A request with the admin key; its answer is looked through later.
    fn call(&mut self, method: &str, path: &str, header: (&str, &str), body: Option<&str>) -> u16 {
        let answer = self.service.call(method, path, &[header], body.map(str::as_bytes));
        self.answers.push_str(&answer.text());
        answer.status
    }

    #[track_caller]
    fn send(&mut self, method: &str, path: &str, body: &Value) {
        let status = self.call(method, &format!("/api/v1/{path}"), JSON, Some(&body.to_string()));
        assert!((200..300).contains(&status), "{method} {path}: {status}");
    }

    /// A request that must be refused; what it is answered must not repeat the canary in it.
    #[track_caller]
    fn refused(&mut self, path: &str, header: (&str, &str), body: &str) {
        let status = self.call("POST", &format!("/api/v1/{path}"), header, Some(body));
        assert!((400..500).contains(&status), "{path} {body}: {status}");
    }

    /// Who has let a canary out; in the clear or in base64.
    fn found_in(&self, place: &str, bytes: &[u8]) -> Vec<String> {
        // What is no text is no canary either.
        let searched = String::from_utf8_lossy(bytes);
        let holds = |text: &str| searched.contains(text);
        let out =
            self.out.iter().filter(|canary| holds(canary) || holds(STANDARD.encode(canary).trim_end_matches('=')));
        out.map(|canary| format!("{canary} in {place}")).collect()
    }
}

/// Every file below a directory.
/// Everything that may hold a secret: fields of credentials, secrets and all that names them.
fn let_out(cage: &mut Cage, sshd: &Sshd) {
    for name in ["env-host", "env-task", "env-link", "env-run", "stdin-task", "stdin-run", "pw", "phrase", "sudo"] {
        let value = cage.canary();
        cage.send("POST", "secrets", &json!({"name": name, "value": value}));
    }
    // Another value, by the command line; a secret that is deleted again.
    let other = cage.canary();
    let mut cli = alf(&cage.service.data_dir());
    cli.args(["secret", "edit", "env-run"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = cli.spawn().unwrap();
    child.stdin.take().unwrap().write_all(other.as_bytes()).unwrap();
    let done = child.wait_with_output().unwrap();
    assert!(done.status.success(), "{done:?}");
    cage.answers.push_str(&format!("{done:?}"));
    let gone = cage.canary();
    let xml = format!("<secret><name>gone</name><value>{gone}</value></secret>");
    assert_eq!(cage.call("POST", "/api/v1/secrets", XML, Some(&xml)), 201);
    assert_eq!(cage.call("DELETE", "/api/v1/secrets/gone", JSON, None), 204);

    let [password, passphrase, sudo, key] = [(); 4].map(|()| cage.canary());
    let pem = format!("-----BEGIN OPENSSH PRIVATE KEY-----\n{key}\n-----END OPENSSH PRIVATE KEY-----\n");
    let user = sshd.user();
    let file = sshd.client_key();
    for (name, credential) in [
        ("password", json!({"password": password})),
        ("password-named", json!({"password": {"secret": "pw"}, "sudo_password": {"secret": "sudo"}})),
        ("file", json!({"key_file": file, "sudo_password": sudo})),
        ("file-named", json!({"key_file": file, "passphrase": {"secret": "phrase"}})),
        ("key", json!({"private_key": pem, "passphrase": passphrase})),
    ] {
        let mut credential = credential;
        credential["user"] = json!(user);
        cage.send("PUT", &format!("credentials/{name}"), &credential);
        let host = json!({"address": "127.0.0.1", "port": sshd.port(), "credential": name, "max_attempts": 1});
        cage.send("PUT", &format!("hosts/by-{name}"), &host);
    }
    let host = json!({
        "address": "127.0.0.1", "port": sshd.port(), "credential": "file", "description": "no secret, to be found",
        "env": {"H": {"secret": "env-host"}},
    });
    cage.send("PUT", "hosts/web1", &host);
    let count = json!({
        "command": "printf %s \"$H$T$L$R$(cat)\" | wc -c", "start_within": "3s", "env": {"T": {"secret": "env-task"}},
        "stdin": {"secret": "stdin-task"},
    });
    cage.send("PUT", "tasks/count", &count);
    cage.send("PUT", "tasks/root", &json!({"command": "true", "run_as": "nobody", "start_within": "3s"}));
    cage.send("PUT", "tasks/bad", &json!({"command": "true", "cwd": "/none", "env": {"T": {"secret": "env-task"}}}));
    cage.send("POST", "host-tasks", &json!({"task": "count", "host": "web1", "env": {"L": {"secret": "env-link"}}}));
    // Their receivers repeat all that they are sent.
    let [signing, token, path, header] = [(); 4].map(|()| cage.canary());
    cage.hooks.always(Reply::Echo(500));
    cage.send("POST", "secrets", &json!({"name": "hook-url", "value": format!("{}/{path}", cage.hooks.url())}));
    cage.send("POST", "secrets", &json!({"name": "hook-header", "value": header}));
    let hook = json!({
        "url": {"secret": "hook-url"}, "hmac_secret": signing, "headers": {"X": {"secret": "hook-header"}},
        "allow_private": true,
    });
    let when = json!({"tasks": ["count"], "on": "result"});
    cage.send("POST", "actions", &json!({"name": "hook", "when": when, "then": {"webhook": hook}}));
    let influx = json!({"url": cage.hooks.url(), "org": "o", "bucket": "b", "token": token});
    cage.send("POST", "actions", &json!({"name": "graph", "when": when, "then": {"influx": influx}}));
}

/// Runs with all of them, well and badly.
fn run(cage: &mut Cage) {
    let given = json!({"env": {"R": {"secret": "env-run"}}, "stdin": {"secret": "stdin-run"}});
    for (path, body) in [
        ("hosts/web1/tasks/count/run?wait=60s", json!({})),
        ("hosts/web1/tasks/count/run?wait=60s", given.clone()),
        ("tasks/count/run", json!({"selector": "*", "env": given["env"]})),
        ("hosts/web1/tasks/bad/run?wait=60s", given.clone()),
        ("hosts/web1/tasks/root/run?wait=60s", json!({})),
        ("hosts/by-password-named/tasks/root/run?wait=60s", json!({})),
        ("hosts/by-key/tasks/root/run?wait=60s", json!({})),
        ("hosts/by-file-named/tasks/root/run?wait=60s", json!({})),
        ("hosts/by-password/doctor", json!({})),
        ("hosts/web1/doctor", json!({})),
        ("rotate-key", json!({})),
    ] {
        cage.send("POST", path, &body);
    }
    let exec = json!({"command": "cat | wc -c", "env": given["env"], "stdin": given["stdin"]});
    cage.send("POST", "hosts/web1/exec?wait=60s", &exec);
    let length = cage.out[1].len();
    let result = cage.service.run("count");
    assert_eq!(result["stdout"].as_str().unwrap().trim(), (4 * length).to_string(), "they did reach it: {result}");
    for (line, header) in [("POST /hook/cAnArY-", "x"), ("POST /hook/api/v2/write?", "authorization")] {
        until("a webhook and measurements", || {
            let received = cage.hooks.received();
            let one = received.iter().find(|one| one.line.starts_with(line))?;
            cage.out.iter().any(|canary| one.header(header).unwrap().contains(canary)).then_some(())
        });
    }
}

/// Secrets in the wrong place, and keys that are none.
fn misplace(cage: &mut Cage) {
    for (path, body) in [
        ("credentials", r#"{"name": "c", "password": ["@"]}"#),
        ("credentials", r#"{"name": "c", "password": {"set": "@"}}"#),
        ("credentials", r#"{"name": "c", "password": {"secret": "@ @"}}"#),
        ("credentials", r#"{"name": "c", "password": "@", "passphrase": "@"}"#),
        ("credentials", r#"{"name": "c", "pasword": "@"}"#),
        ("credentials", r#"{"name": "c", "private_key": "@"}"#),
        ("credentials", r#"{"name": "c", "agent": true, "sudo_password": "@\n@"}"#),
        ("credentials", r#"{"name": "c", "password": "@""#),
        ("credentials", r#"{"name": "c", "password": '@'}"#),
        ("secrets", r#"{"name": "s", "value": {"secret": ["@"]}}"#),
        ("secrets", r#"{"name": "s", "value": "@\u0000"}"#),
        ("secrets", r#"{"name": "s", "value": {"value": "@"}}"#),
        ("hosts", r#"{"name": "h", "env": {"A": {"secret": {"value": "@"}}}}"#),
        ("hosts", r#"{"name": "h", "env": ["A=@"]}"#),
        ("actions", r#"{"name": "a", "then": {"webhook": {"url": "x", "hmac_secret": ["@"]}}}"#),
        ("actions", r#"{"name": "a", "then": {"webhook": {"url": "https://u:@\u0040example.org/"}}}"#),
        ("actions", r#"{"name": "a", "then": {"influx": {"url": "x", "token": "@\u0000"}}}"#),
        ("tasks", r#"{"name": "t", "command": "true", "stdin": ["@"]}"#),
        ("tasks", r#"{"name": "t", "command": "true", "stdin": {"secret": "@ @"}}"#),
        ("hosts/web1/tasks/count/run", r#"{"env": {"R": {"secret": ["@"]}}}"#),
        ("hosts/web1/tasks/count/run", r#"{"stdin": {"text": "@"}}"#),
    ] {
        let canary = cage.canary();
        cage.refused(path, JSON, &body.replace('@', &canary));
    }
    for (path, body) in [
        ("secrets", "<secret><name>s</name><value>@<set>true</set></value></secret>"),
        ("secrets", "<secret><name>s</name><value encoding=\"base64\">@</value></secret>"),
        ("secrets", "<secret><name>s</name><value>@</secret>"),
        ("credentials", "<credential><name>c</name><password><item>@</item></password></credential>"),
        ("hosts/web1/exec", "<run><command>true</command><stdin><secret>@ @</secret></stdin></run>"),
    ] {
        let canary = cage.canary();
        cage.refused(path, XML, &body.replace('@', &canary));
    }
    let plain = cage.canary();
    cage.refused("secrets", ("Content-Type", "text/plain"), &plain);
    let [bearer, api_key, query, cookie] = [(); 4].map(|()| cage.canary());
    let address = cage.service.address.clone();
    for (path, header) in [
        ("/api/v1/secrets".to_owned(), ("Authorization", format!("Bearer alf_{bearer}"))),
        ("/api/v1/secrets".to_owned(), ("X-Api-Key", format!("alf_{api_key}"))),
        (format!("/api/v1/secrets?api_key={query}"), ("Accept", "*/*".to_owned())),
        ("/api/v1/secrets".to_owned(), ("Cookie", format!("key={cookie}"))),
    ] {
        let answer = request(&address, "GET", &path, &[(header.0, &header.1)], None).expect(401);
        cage.answers.push_str(&answer.text());
    }
}

#[test]
fn no_secret_is_found_in_logs_answers_or_files() {
    let config = vec!["PasswordAuthentication yes".to_owned()];
    let sshd = Sshd::start_with(&Options { config, ..Options::default() });
    let logging = tempfile::NamedTempFile::new().unwrap();
    let crates = ["actix_http", "actix_server", "actix_web", "async_ssh2_tokio", "awc", "mio", "russh", "alf"];
    let modules: String = crates.map(|name| format!("  {name}: trace\n")).concat();
    std::fs::write(logging.path(), format!("level: trace\nmodules:\n{modules}")).unwrap();
    let mut cage = Cage::new(logging.path());
    let made = cage.service.send("POST", "keys", &json!({"name": "v", "role": "viewer"})).expect(201).json();
    let viewer = made["key"].as_str().unwrap().to_owned();
    // From here on it is looked for as well; its 201 is what may show it.
    cage.out.push(viewer.clone());

    let_out(&mut cage, &sshd);
    run(&mut cage);
    misplace(&mut cage);
    assert!(cage.out.len() >= 20);
    for accept in ["application/json", "application/xml"] {
        for path in READ {
            let headers = [("X-Api-Key", viewer.as_str()), ("Accept", accept)];
            let answer = request(&cage.service.address, "GET", path, &headers, None);
            assert!(answer.status < 500, "{path}: {}", answer.text());
            cage.answers.push_str(&answer.text());
            cage.answers.push_str(&format!("{:?}", cage.service.call("GET", path, &[("Accept", accept)], None)));
        }
    }
    for result in cage.service.get("results?limit=1000")["items"].as_array().unwrap() {
        let whole = cage.service.get(&format!("results/{}", result["id"].as_str().unwrap()));
        cage.answers.push_str(&whole.to_string());
        cage.answers
            .push_str(&cage.service.get(&format!("results/{}/trace", result["id"].as_str().unwrap())).to_string());
    }

    // While it runs: with what the database has not yet moved out of its log.
    assert!(cage.answers.contains("no secret, to be found"));
    let mut found = cage.found_in("an answer", cage.answers.as_bytes());
    let look_at_what_is_kept = |cage: &Cage| {
        let marker = b"no secret, to be found";
        let mut marked = false;
        let mut found = Vec::new();
        for (place, bytes) in cage.service.kept() {
            marked |= bytes.windows(marker.len()).any(|window| window == marker);
            found.extend(cage.found_in(&place, &bytes));
        }
        assert!(marked, "what is not secret is not found: this looks in the wrong place");
        found
    };
    found.extend(look_at_what_is_kept(&cage));
    assert_eq!(cage.service.end("TERM"), Some(0));
    found.extend(look_at_what_is_kept(&cage));
    let log = cage.service.log();
    assert!(log.contains("TRACE") && log.contains("by-password-named"), "nothing is logged at trace: {log}");
    found.extend(cage.found_in("the log", log.as_bytes()));
    assert_eq!(found, [] as [String; 0]);
}
