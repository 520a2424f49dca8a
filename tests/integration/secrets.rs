//! Secrets: named where they are needed, and seen nowhere.

use serde_json::{Value, json};

use super::ssh_password::{BOTH, asks};
use super::support::http::request;
use super::support::service::Service;
use super::support::sshd::Sshd;

const XML: (&str, &str) = ("Content-Type", "application/xml");

#[test]
fn a_secret_is_written_and_never_read() {
    let service = Service::start();
    let created = service.send("POST", "secrets", &json!({"name": "token", "value": "hunter2"})).expect(201);
    assert_eq!(created.header("location"), Some("/api/v1/secrets/token"));
    let secret = created.json();
    assert_eq!((&secret["value"], &secret["version"]), (&json!({"set": true}), &json!(1)));
    // What was read is sent back: nothing changes.
    service.send("PUT", "secrets/token", &secret).expect(200);
    let titled = service.send("PATCH", "secrets/token", &json!({"title": "A token"})).expect(200).json();
    assert_eq!((&titled["version"], &titled["value"]), (&json!(2), &json!({"set": true})));
    let other = service.send("PATCH", "secrets/token", &json!({"value": "hunter3"})).expect(200).json();
    assert_eq!(other["version"], 3, "another value is another version");
    let same = service.send("PATCH", "secrets/token", &json!({"value": "hunter3"})).expect(200).json();
    assert_eq!(same["version"], 3);
    for bad in [json!({}), json!({"value": ""}), json!({"value": {"set": false}}), json!({"value": {"secret": "x"}})] {
        let refused = service.send("PUT", "secrets/token", &bad).expect(422);
        assert!(refused.pointers().iter().all(|pointer| pointer.starts_with("/value")), "{bad}");
    }
    assert_eq!(service.send("PUT", "secrets/new", &json!({"value": {"set": true}})).pointers(), ["/value"]);

    let xml = b"<secret><name>xml</name><value>a &lt;b&gt;</value></secret>";
    let created = service.call("POST", "/api/v1/secrets?format=xml", &[XML], Some(xml)).expect(201);
    assert!(created.text().contains("<value><set>true</set></value>"), "{}", created.text());
    service.call("PUT", "/api/v1/secrets/xml", &[XML], Some(&created.body)).expect(200);
    assert_eq!(service.get("secrets/xml")["version"], 1);

    assert_eq!(service.get("secrets")["total"], 2);
    assert_eq!(service.get("stats")["totals"]["secrets"], 2);
    assert_eq!(service.get("")["nouns"]["secrets"], "/api/v1/secrets");
    service.call("DELETE", "/api/v1/secrets/token", &[], None).expect(204);
    service.call("GET", "/api/v1/secrets/token", &[], None).expect(404);
}

#[test]
fn a_secret_reaches_the_command_exactly_and_the_api_shows_its_name_alone() {
    let sshd = Sshd::start();
    let service = Service::start();
    service.add_host(&sshd);
    let value = "it's \"q\" \\ $HOME `id` ünï\u{1f980} !\n\ttwo\n";
    service.send("POST", "secrets", &json!({"name": "token", "value": value})).expect(201);
    service.send("POST", "secrets", &json!({"name": "input", "value": value.repeat(3000)})).expect(201);
    let task = json!({
        "command": "printf '%s' \"$TOKEN\"; cat >&2", "env": {"TOKEN": {"secret": "token"}, "PLAIN": "p"},
        "stdin": {"secret": "input"},
    });
    service.add_task("show", "web1", task, None);
    let result = service.run("show");
    assert_eq!((&result["stdout"], &result["stderr"]), (&json!(value), &json!(value.repeat(3000))));
    let shown = service.get("tasks/show");
    assert_eq!(shown["env"], json!({"TOKEN": {"secret": "token"}, "PLAIN": "p"}));
    assert_eq!(shown["stdin"], json!({"secret": "input"}));

    // In XML it is the same, and what was read is sent back.
    let xml = service.call("GET", "/api/v1/tasks/show?format=xml", &[], None).expect(200);
    let text = xml.text();
    assert!(text.contains("<entry key=\"TOKEN\"><secret>token</secret></entry>"), "{text}");
    assert!(text.contains("<stdin><secret>input</secret></stdin>"), "{text}");
    service.call("PUT", "/api/v1/tasks/show", &[XML], Some(&xml.body)).expect(200);
    assert_eq!(service.get("tasks/show"), shown, "nothing is different");
    let other = b"<task><command>echo $A</command><env><entry key=\"A\"><secret>none</secret></entry></env>\
        <stdin><secret>none</secret></stdin></task>";
    assert_eq!(service.call("PUT", "/api/v1/tasks/other", &[XML], Some(other)).pointers(), ["/env/A", "/stdin"]);

    // Another value is there from the next run on; a merge patch puts another name in a name's place.
    service.send("PATCH", "secrets/token", &json!({"value": "changed"})).expect(200);
    assert_eq!(service.run("show")["stdout"], "changed");
    service.send("POST", "secrets", &json!({"name": "third", "value": "3"})).expect(201);
    service.send("PATCH", "tasks/show", &json!({"env": {"TOKEN": {"secret": "third"}}, "stdin": null})).expect(200);
    assert_eq!(service.run("show")["stdout"], "3");
    let in_use = service.call("DELETE", "/api/v1/secrets/third", &[], None).expect(409).text();
    assert!(in_use.contains("task \\\"show\\\""), "{in_use}");
    service.call("DELETE", "/api/v1/secrets/input", &[], None).expect(204);

    service.send("POST", "rotate-key", &json!({})).expect(200);
    assert_eq!(service.run("show")["stdout"], "3");
}

#[test]
fn naming_a_secret_in_a_run_takes_the_right_to_run_anything() {
    let sshd = Sshd::start();
    let service = Service::start();
    service.add_host(&sshd);
    service.send("POST", "secrets", &json!({"name": "token", "value": "hunter2"})).expect(201);
    let task = json!({"command": "echo \"$A\"", "env": {"A": {"secret": "token"}}});
    service.add_task("echo", "web1", task, None);
    let key = |body: Value| {
        let key = service.send("POST", "keys", &body).expect(201).json();
        format!("Bearer {}", key["key"].as_str().unwrap())
    };
    let operator = key(json!({"name": "o", "role": "operator"}));
    let executor = key(json!({"name": "e", "role": "operator", "exec": true}));
    let post = |bearer: &str, path: &str, body: Value| {
        let headers = [("Authorization", bearer), ("Content-Type", "application/json")];
        request(&service.address, "POST", &format!("/api/v1/{path}"), &headers, Some(body.to_string().as_bytes()))
    };
    let run = "hosts/web1/tasks/echo/run?wait=60s";
    assert_eq!(post(&operator, run, json!({})).expect(200).json()["stdout"], "hunter2\n");
    let given = json!({"env": {"A": "x", "B": {"secret": "token"}}});
    let refused = post(&operator, run, given.clone()).expect(403).text();
    assert!(refused.contains("admin or a key with exec"), "{refused}");
    post(&operator, "tasks/echo/run", json!({"selector": "*", "stdin": {"secret": "token"}})).expect(403);
    assert_eq!(post(&executor, run, given).expect(200).json()["stdout"], "x\n");
    let exec = "hosts/web1/exec?wait=60s";
    let body = json!({"command": "cat; echo \"$B\"", "env": {"B": {"secret": "token"}}, "stdin": {"secret": "token"}});
    assert_eq!(post(&executor, exec, body).expect(200).json()["stdout"], "hunter2hunter2\n");
    let xml = br#"<run><command>cat; echo "$B"</command><env><entry key="B"><secret>token</secret></entry></env>
        <stdin><secret>token</secret></stdin></run>"#;
    let done = service.call("POST", &format!("/api/v1/{exec}"), &[XML], Some(xml)).expect(200).json();
    assert_eq!(done["stdout"], "hunter2hunter2\n");
    let none = json!({"command": "true", "env": {"B": {"secret": "none"}}, "stdin": {"secret": "none"}});
    assert_eq!(post(&executor, exec, none.clone()).pointers(), ["/env/B", "/stdin"]);
    let run_on_many = json!({"selector": "*", "env": none["env"]});
    assert_eq!(service.send("POST", "tasks/echo/run", &run_on_many).pointers(), ["/env/B"]);
    let done = service.cli(&["exec", "web1", "--env-secret", "T=token", "--", "echo \"$T\""]);
    assert_eq!(String::from_utf8_lossy(&done.stdout), "hunter2\n", "{done:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_that_of_its_secret_at_each_login() {
    let sshd = Sshd::start();
    let (port, told) = asks(&sshd, BOTH, &[]).await;
    tokio::task::spawn_blocking(move || {
        let service = Service::start();
        service.send("POST", "secrets", &json!({"name": "pw", "value": "first"})).expect(201);
        let credential = json!({"name": "c", "user": "deploy", "password": {"secret": "pw"}});
        let shown = service.send("POST", "credentials", &credential).expect(201).json();
        assert_eq!(shown["password"], json!({"secret": "pw"}));
        service.send("PUT", "credentials/c", &shown).expect(200);
        let host = json!({"name": "web1", "address": "127.0.0.1", "port": port, "credential": "c"});
        service.send("POST", "hosts", &host).expect(201);
        service.add_task("t", "web1", json!({"command": "true", "start_within": "5s"}), None);
        let refused = service.run("t");
        assert_eq!(refused["reason"], "auth", "{refused}");
        assert!(!refused.to_string().contains("first"), "{refused}");
        service.send("PATCH", "secrets/pw", &json!({"value": "right"})).expect(200);
        service.run("t");
        let mut told = told.lock().unwrap().clone();
        told.dedup();
        assert_eq!(told, ["password first", "password right"]);
        // From the reference to a text of its own, and back: a merge patch, too.
        let own = service.send("PATCH", "credentials/c", &json!({"password": "own"})).expect(200).json();
        assert_eq!(own["password"], json!({"set": true}));
        let named = service.send("PATCH", "credentials/c", &json!({"password": {"secret": "pw"}})).expect(200).json();
        assert_eq!(named["password"], json!({"secret": "pw"}));
        service.call("DELETE", "/api/v1/secrets/pw", &[], None).expect(409);
    })
    .await
    .unwrap();
}

#[test]
fn an_export_names_secrets_and_an_apply_keeps_them() {
    let service = Service::start();
    service.send("POST", "secrets", &json!({"name": "token", "value": "hunter2"})).expect(201);
    service.send("POST", "credentials", &json!({"name": "c", "password": {"secret": "token"}})).expect(201);
    service.send("POST", "hosts", &json!({"name": "h", "env": {"T": {"secret": "token"}}})).expect(201);
    for format in ["json", "xml"] {
        let export = service.call("GET", &format!("/api/v1/export?format={format}"), &[], None).expect(200);
        let text = export.text();
        assert!(text.contains("token") && !text.contains("hunter2"), "{text}");
        let kind = format!("application/{format}");
        let applied = service.call("POST", "/api/v1/apply", &[("Content-Type", &kind)], Some(&export.body)).expect(200);
        let applied = applied.json();
        assert_eq!((&applied["created"], &applied["updated"]), (&json!([]), &json!([])), "{applied}");
    }
    let both =
        json!({"secrets": [{"name": "new", "value": "n"}], "hosts": [{"name": "h", "env": {"T": {"secret": "new"}}}]});
    service.send("POST", "apply", &both).expect(200);
    assert_eq!(service.get("hosts/h")["env"], json!({"T": {"secret": "new"}}));
    let refused = json!({"secrets": [{"name": "none"}], "tasks": [{"name": "t", "command": "c", "stdin": {"secret": "nowhere"}}]});
    assert_eq!(service.send("POST", "apply", &refused).pointers(), ["/secrets/0/value", "/tasks/0/stdin"]);
}
