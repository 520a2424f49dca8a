//! Host keys by hand, against a real sshd: shown, trusted, forgotten.

use serde_json::{Value, json};

use super::support::service::{Service, until};
use super::support::sshd::{Options, Sshd};

fn fingerprint(public_key: &str) -> String {
    public_key.parse::<alf::model::PublicKey>().unwrap().fingerprint()
}

fn show(service: &Service) -> Value {
    service.get("hosts/web1/host-key")
}

fn service(sshd: &Sshd) -> Service {
    let service = Service::start();
    service.add_host(sshd);
    service.add_task("hello", "web1", json!({"command": "echo hello", "start_within": "3s"}), None);
    service
}

#[test]
fn a_host_that_was_installed_anew_runs_again_once_its_key_is_trusted() {
    let mut sshd = Sshd::start();
    let service = service(&sshd);
    let view = show(&service);
    assert_eq!((view["standing"].as_str(), view["recorded"].as_array().map(Vec::len)), (Some("unknown"), Some(0)));
    assert_eq!(view["offered"]["fingerprint"], fingerprint(&sshd.host_key()));
    assert_eq!(sshd.login_attempts(), 0, "nobody logs in to see a key");
    assert_eq!(service.run("hello")["stdout"], "hello\n");
    let old = fingerprint(&sshd.host_key());
    assert_eq!(show(&service)["recorded"], json!([{"fingerprint": old, "source": "learned"}]));

    sshd.restart_with_new_host_key();
    let new = fingerprint(&sshd.host_key());
    assert_eq!(service.run("hello")["reason"], "host_key");
    let view = show(&service);
    assert_eq!((view["standing"].as_str(), view["offered"]["fingerprint"].as_str()), (Some("changed"), Some(&*new)));
    let before = sshd.login_attempts();
    let refused = service.cli(&["host", "trust", "web1"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(1) && said.contains(&new) && said.contains(&old), "{said}");
    let problem = service.send("POST", "hosts/web1/trust", &json!({"expect": old})).expect(409).json();
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains(&new) && detail.contains(&old), "{detail}");
    assert_eq!(service.run("hello")["reason"], "host_key", "nothing was changed");
    assert_eq!(sshd.login_attempts(), before, "nothing secret is sent to a host with another key");

    let done = service.cli(&["host", "trust", "web1", "--expect", &new]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(service.run("hello")["stdout"], "hello\n");
    assert_eq!(show(&service)["standing"], "recorded");
    assert_eq!(service.get("hosts/web1")["version"], 1, "the definition is what it was");
}

#[test]
fn what_was_learnt_is_forgotten_and_learnt_anew() {
    let mut sshd = Sshd::start();
    let service = service(&sshd);
    service.run("hello");
    sshd.restart_with_new_host_key();
    assert!(service.cli(&["host", "forget-key", "web1"]).status.success());
    assert_eq!(show(&service)["standing"], "unknown");
    until("the new key is learnt", || (service.run("hello")["stdout"] == "hello\n").then_some(()));
    let learnt = json!([{"fingerprint": fingerprint(&sshd.host_key()), "source": "learned"}]);
    assert_eq!(show(&service)["recorded"], learnt);
}

#[test]
fn who_may_and_what_cannot_be() {
    let sshd = Sshd::start_with(&Options { rsa_host_key: true, ..Options::default() });
    let service = service(&sshd);
    let roles = ["viewer", "operator"].map(|role| {
        let key = service.send("POST", "keys", &json!({"name": role, "role": role})).expect(201).json();
        format!("Bearer {}", key["key"].as_str().unwrap())
    });
    let status = |method: &str, path: &str, bearer: &str| {
        let headers = [("Authorization", bearer)];
        super::support::http::request(&service.address, method, &format!("/api/v1/hosts/{path}"), &headers, None).status
    };
    for (method, path, viewer, operator) in [
        ("GET", "web1/host-key", 403, 200),
        ("POST", "web1/trust", 403, 403),
        ("POST", "web1/forget-key", 403, 403),
        ("POST", "web1/doctor", 403, 200),
        ("GET", "web9/host-key", 403, 404),
    ] {
        assert_eq!((status(method, path, &roles[0]), status(method, path, &roles[1])), (viewer, operator), "{path}");
    }
    let bad = service.send("POST", "hosts/web1/trust", &json!({"expect": "MD5:aa"}));
    assert_eq!(bad.pointers(), ["/expect"]);

    // The definition's keys are its own: of the host's two it names one, and what it shows is asked for by that.
    let other = json!({"host_key": {"keys": [sshd.rsa_host_key().trim()]}});
    service.send("PATCH", "hosts/web1", &other).expect(200);
    let view = show(&service);
    assert_eq!((&view["standing"], &view["offered"]["algorithm"]), (&json!("recorded"), &json!("ssh-rsa")));
    let stranger = Sshd::start();
    let given = json!({"host_key": {"keys": [stranger.host_key().trim()]}});
    service.send("PATCH", "hosts/web1", &given).expect(200);
    let problem = service.send("POST", "hosts/web1/trust", &json!({})).expect(409).json();
    assert!(problem["detail"].as_str().unwrap().contains("names other keys"), "{problem}");

    service.send("PATCH", "hosts/web1", &json!({"host_key": null, "port": 1})).expect(200);
    let away = service.call("GET", "/api/v1/hosts/web1/host-key", &[], None).expect(503);
    assert!(away.text().contains("refused the connection"), "{}", away.text());
}
