//! `alf run`, `alf exec` and `alf apply` where the connection breaks before the answer: what was asked for is done once, and
//! whoever asked gets to know it. A proxy between them and the real service takes the first answer away.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Child, Output, Stdio};
use std::sync::{Arc, Mutex, mpsc};

use serde_json::{Value, json};

use crate::support::service::{Service, alf, until};
use crate::support::sshd::Sshd;

/// A way to a service on which the first answer is lost.
struct Proxy {
    address: String,
    /// Where the service is; none while it is away.
    service: Arc<Mutex<Option<String>>>,
    /// Tells that the first answer was lost.
    lost: mpsc::Receiver<()>,
}

impl Proxy {
    /// In front of a service; with `is_away` nothing gets through any more when the first answer is lost, until
    /// [`Self::lead_to`].
    fn to(service: &Service, is_away: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let target = Arc::new(Mutex::new(Some(service.address.clone())));
        let (tell, lost) = mpsc::channel();
        let place = Arc::clone(&target);
        std::thread::spawn(move || {
            let mut tell = Some(tell);
            for client in listener.incoming() {
                let Ok(client) = client else { return };
                let Some(service) = place.lock().unwrap().clone() else { continue };
                let service = TcpStream::connect(service).unwrap();
                let Some(told) = tell.take() else {
                    std::thread::spawn(move || join(client, service));
                    continue;
                };
                lose(client, service);
                if is_away {
                    *place.lock().unwrap() = None;
                }
                let _ = told.send(());
            }
        });
        Self { address, service: target, lost }
    }

    fn lead_to(&self, service: &Service) {
        *self.service.lock().unwrap() = Some(service.address.clone());
    }

    /// Runs the command line over it.
    fn cli(&self, service: &Service, args: &[&str]) -> Child {
        let mut command = alf(&service.data_dir());
        command.env("ALF_URL", format!("http://{}", self.address)).env("ALF_API_KEY", &service.key);
        command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }
}

/// Brings a request to the service, waits until it answers, and closes the connection without the answer.
fn lose(client: TcpStream, service: TcpStream) {
    let (mut from, mut to) = (client.try_clone().unwrap(), service.try_clone().unwrap());
    let request = std::thread::spawn(move || std::io::copy(&mut from, &mut to));
    let mut answer = [0; 1];
    assert_eq!((&service).read(&mut answer).unwrap(), 1);
    let _ = client.shutdown(Shutdown::Both);
    let _ = request.join();
}

/// Lets both talk.
fn join(client: TcpStream, service: TcpStream) {
    let (mut from, mut to) = (client.try_clone().unwrap(), service.try_clone().unwrap());
    let there = std::thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
    let (mut from, mut to) = (service, client);
    let _ = std::io::copy(&mut from, &mut to);
    let _ = to.flush();
    let _ = to.shutdown(Shutdown::Both);
    let _ = there.join();
}

#[track_caller]
fn ended(child: Child, code: i32) -> String {
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert_eq!(status.code(), Some(code), "{stdout}{stderr}");
    assert!(stderr.contains("went away before it had answered"), "{stderr}");
    stdout.into_owned()
}

#[test]
fn a_command_whose_answer_is_lost_runs_once_and_its_output_is_seen() {
    let (sshd, service) = (Sshd::start(), Service::start());
    service.add_host(&sshd);
    let count = sshd.dir().join("count");
    let command = format!("echo x >> {}; echo done", count.display());
    service.add_task("count", "web1", json!({"command": command}), None);
    for (args, seen) in [
        (vec!["exec", "web1", "--", &command], "done\n"),
        (vec!["exec", "-l", "*", "--", &command], "web1: done\n"),
        (vec!["run", "web1", "count"], "done\n"),
        (vec!["run", "-l", "*", "count"], "web1: done\n"),
    ] {
        let _ = std::fs::remove_file(&count);
        let proxy = Proxy::to(&service, false);
        assert_eq!(ended(proxy.cli(&service, &args), 0), seen, "{args:?}");
        assert_eq!(std::fs::read_to_string(&count).unwrap(), "x\n", "{args:?} ran once");
    }
}

#[test]
fn over_a_crash_of_alf_the_end_of_the_run_is_told() {
    let (sshd, mut service) = (Sshd::start(), Service::start());
    service.add_host(&sshd);
    let count = sshd.dir().join("count");
    let results = |service: &Service| service.get("results")["items"].as_array().cloned().unwrap();
    for (args, seen) in [(vec!["exec", "web1"], "done\n"), (vec!["exec", "-l", "*"], "web1: done\n")] {
        let command = format!("echo x >> {}; echo done", count.display());
        let proxy = Proxy::to(&service, true);
        let args: Vec<&str> = args.into_iter().chain(["--", &command]).collect();
        let before = results(&service).len();
        let child = proxy.cli(&service, &args);
        proxy.lost.recv().unwrap();
        until("it has run", || (results(&service).len() > before).then_some(()));
        service.end("KILL");
        service.restart();
        proxy.lead_to(&service);
        assert_eq!(ended(child, 0), seen);
        assert_eq!(std::fs::read_to_string(&count).unwrap(), "x\n", "it ran once");
        std::fs::remove_file(&count).unwrap();
    }

    // One that the crash cut off is told as that.
    let command = format!("echo x >> {}; sleep 60", count.display());
    let proxy = Proxy::to(&service, true);
    let child = proxy.cli(&service, &["exec", "web1", "-o", "json", "--", &command]);
    proxy.lost.recv().unwrap();
    until("it runs", || std::fs::read_to_string(&count).ok().filter(|count| count.ends_with('\n')));
    service.end("KILL");
    service.restart();
    proxy.lead_to(&service);
    let told: Value = serde_json::from_str(&ended(child, 1)).unwrap();
    assert_eq!(told["reason"], "aborted", "{told}");
    assert_eq!(std::fs::read_to_string(&count).unwrap(), "x\n", "it was not sent again");
}

#[test]
fn what_an_apply_changed_is_told_although_its_answer_was_lost() {
    let service = Service::start();
    service.send("POST", "hosts", &json!({"name": "web1"})).expect(201);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("all.yaml");
    std::fs::write(&file, "hosts: [{name: web1, port: 2222}]\ntasks: [{name: t, command: uptime}]\n").unwrap();
    let proxy = Proxy::to(&service, false);
    let plan = ended(proxy.cli(&service, &["apply", "-f", file.to_str().unwrap()]), 0);
    assert_eq!(plan, "+ task t\n~ host web1  port: 22 → 2222\n= 0 unchanged\n");
    assert_eq!(service.get("hosts/web1")["version"], 2, "it was changed once");
}
