//! Contacts and Actions as nouns: checked against all that they name, the same in JSON and XML, from files and by hand.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::service::Service;
use crate::support::sshd::Sshd;

const XML: (&str, &str) = ("Accept", "application/xml");
const OF_XML: (&str, &str) = ("Content-Type", "application/xml");

/// A service with something of all that an Action may name.
fn service() -> Service {
    let service = Service::start();
    service.send("POST", "secrets", &json!({"name": "token", "value": "hunter2"})).expect(201);
    service.send("POST", "hosts", &json!({"name": "web1", "address": "127.0.0.1", "port": 9})).expect(201);
    service.send("POST", "tasks", &json!({"name": "load", "command": "true"})).expect(201);
    service.send("POST", "tasks", &json!({"name": "repair", "command": "true"})).expect(201);
    service.send("POST", "contacts", &json!({"name": "anna", "email": "anna@example.org"})).expect(201);
    service
}

fn page() -> Value {
    json!({
        "name": "page", "when": {"tasks": ["load"], "hosts": ["web1"]}, "contacts": ["anna"], "throttle": "10m",
        "then": {"webhook": {"url": "https://example.org/", "headers": {"Authorization": {"secret": "token"}}}},
    })
}

#[test]
fn what_an_action_names_is_there_and_stays() {
    let service = service();
    let wrong = json!({
        "name": "page", "when": {"tasks": ["load", "none"], "hosts": ["none"]}, "contacts": ["none"],
        "then": {"webhook": {"url": "https://example.org/", "headers": {"A": {"secret": "none"}}, "hmac_secret": {"secret": "no"}}},
    });
    let pointers = service.send("POST", "actions", &wrong).pointers();
    let expected =
        ["/contacts/0", "/then/webhook/headers/A", "/then/webhook/hmac_secret", "/when/hosts/0", "/when/tasks/1"];
    assert_eq!(pointers, expected);
    let elsewhere = json!({"name": "x", "then": {"run": "none", "on": "nowhere"}});
    assert_eq!(service.send("POST", "actions", &elsewhere).pointers(), ["/then/on", "/then/run"]);

    let made = service.send("POST", "actions", &page()).expect(201);
    assert_eq!(made.header("location"), Some("/api/v1/actions/page"));
    assert_eq!(service.send("POST", "actions", &page()).status, 409);
    for used in ["contacts/anna", "tasks/load", "hosts/web1", "secrets/token"] {
        for query in ["", "?cascade=true"] {
            let refused = service.call("DELETE", &format!("/api/v1/{used}{query}"), &[], None).expect(409).text();
            assert!(refused.contains(r#"action \"page\""#), "{used}: {refused}");
        }
    }
    service.call("DELETE", "/api/v1/tasks/repair", &[], None).expect(204);
    service.call("DELETE", "/api/v1/actions/page", &[], None).expect(204);
    for free in ["contacts/anna", "tasks/load", "hosts/web1", "secrets/token"] {
        service.call("DELETE", &format!("/api/v1/{free}"), &[], None).expect(204);
    }
}

#[test]
fn who_gets_e_mail_has_an_address() {
    let service = service();
    service.send("POST", "contacts", &json!({"name": "ben", "phone": "+34 600"})).expect(201);
    let mail = |contacts: Value| json!({"name": "mail", "then": {"email": {}}, "contacts": contacts});
    let refused = service.send("POST", "actions", &mail(json!(["anna", "ben"]))).expect(422);
    assert_eq!(refused.pointers(), ["/contacts/1"]);
    assert_eq!(service.send("POST", "actions", &mail(json!([]))).pointers(), ["/contacts"]);
    service.send("POST", "actions", &mail(json!(["anna"]))).expect(201);
    let refused = service.send("PUT", "contacts/anna", &json!({"phone": "+34 600"})).expect(422);
    assert!(refused.text().contains(r#"action \"mail\""#), "{}", refused.text());
    service.send("PUT", "contacts/anna", &json!({"email": "other@example.org"})).expect(200);
    service.send("PUT", "contacts/ben", &json!({})).expect(200);
}

#[test]
fn they_are_the_same_in_xml_and_patched_field_by_field() {
    let service = service();
    let contact = b"<contact><name>ben</name><email>ben@example.org</email><addresses><entry key=\"pager\">4711</entry></addresses>
        <notify_on><item>DOWN</item></notify_on><quiet_hours><timezone>Europe/Berlin</timezone><periods><item><days>mon-fri</days>
        <from>22:00</from><to>07:00</to></item></periods><except><item>DOWN</item></except></quiet_hours></contact>";
    service.call("POST", "/api/v1/contacts", &[OF_XML], Some(contact)).expect(201);
    let ben = service.get("contacts/ben");
    assert_eq!((&ben["addresses"], &ben["notify_on"]), (&json!({"pager": "4711"}), &json!(["DOWN"])));
    let period = json!([{"days": "mon-fri", "from": "22:00", "to": "07:00"}]);
    assert_eq!((&ben["quiet_hours"]["periods"], &ben["quiet_hours"]["except"]), (&period, &json!(["DOWN"])));

    let action = b"<action><when><lasting>1h</lasting><perf>load1 &gt; 5</perf></when><then><run>repair</run>
        <on><selector>role=web</selector></on></then><contacts><item>ben</item></contacts></action>";
    service.call("PUT", "/api/v1/actions/repair", &[OF_XML], Some(action)).expect(201);
    let shown = service.get("actions/repair");
    assert_eq!(shown["then"]["on"], json!({"selector": "role=web"}));
    assert_eq!((&shown["when"]["lasting"], &shown["when"]["perf"]), (&json!("1h"), &json!("load1 > 5")));
    assert_eq!((&shown["recovery"], &shown["limit"], &shown["digest"]), (&json!(true), &json!("none"), &json!("none")));
    for path in ["contacts/ben", "actions/repair"] {
        let xml = service.call("GET", &format!("/api/v1/{path}"), &[XML], None).expect(200);
        let before = service.get(path);
        let sent = service.call("PUT", &format!("/api/v1/{path}"), &[OF_XML], Some(&xml.body)).expect(200);
        assert_eq!(sent.json(), before, "{path}: what is read may be sent back");
    }
    let patched =
        service.send("PATCH", "actions/repair", &json!({"when": {"lasting": null, "after": 3}})).expect(200).json();
    assert_eq!((&patched["when"]["after"], &patched["when"]["on"]), (&json!(3), &Value::Null));
    let refused =
        service.send("PATCH", "actions/repair", &json!({"when": {"on": "change"}, "digest": "30s"})).expect(422);
    assert_eq!(refused.pointers(), ["/digest", "/when/on"]);
    let wrong =
        b"<action><name>x</name><when><states><item>BAD</item></states></when><then><run>repair</run></then></action>";
    let refused = service.call("POST", "/api/v1/actions", &[OF_XML], Some(wrong)).expect(422).text();
    assert!(refused.contains("UNREACHABLE") && refused.contains("/when/states/0"), "{refused}");
}

#[test]
fn a_secret_of_an_action_stays_where_it_is_left_out_and_is_told_by_its_field() {
    let service = service();
    let mut hook =
        json!({"name": "hook", "then": {"webhook": {"url": "https://example.org/", "hmac_secret": "hunter2 too"}}});
    service.send("POST", "actions", &hook).expect(201);
    let shown = service.get("actions/hook");
    assert_eq!(shown["then"]["webhook"]["hmac_secret"], json!({"set": true}));
    assert_eq!(service.send("PUT", "actions/hook", &shown).expect(200).json()["version"], 1, "nothing has changed");
    let export = service.get("export");
    assert!(!export.to_string().contains("hunter2"), "{export}");
    let applied = service.send("POST", "apply", &json!({"actions": export["actions"]})).expect(200).json();
    assert_eq!(applied["unchanged"][0]["name"], "hook");
    hook["then"]["webhook"]["hmac_secret"] = json!("another");
    service.send("PUT", "actions/hook", &hook).expect(200);
    let told = &service.get("audit?noun=action&verb=update")["items"][0];
    assert_eq!((&told["name"], &told["fields"]), (&json!("hook"), &json!(["then"])));
}

#[test]
fn the_command_line_has_them_like_any_noun() {
    let service = service();
    let alf = |args: &[&str]| {
        let done = service.cli(args);
        (done.status.code(), String::from_utf8(done.stdout).unwrap(), String::from_utf8(done.stderr).unwrap())
    };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/examples");
    let file = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    for task in ["backup-age", "report", "worker", "restart-worker"] {
        service.send("POST", "tasks", &json!({"name": task, "command": "true"})).expect(201);
    }
    let files = [file("contacts.yaml"), file("actions.yaml")];
    let (code, _, told) = alf(&["apply", "-f", &files[0], "-f", &files[1]]);
    assert_eq!(code, Some(0), "{told}");
    assert_eq!(alf(&["diff", "-f", &files[0], "-f", &files[1]]).0, Some(0));
    let (_, contacts, _) = alf(&["contact", "list"]);
    assert!(
        contacts.contains("ben   Ben    ben@example.org") && contacts.contains("mon-fri 22:00-07:00"),
        "{contacts}"
    );
    let (_, actions, _) = alf(&["action", "list"]);
    for shown in
        ["hard tasks=backup-age", "run report on same-host", "email", "anna,ben", "graphite graphite.example.org:2003"]
    {
        let shown = if shown.starts_with("hard") { "hard outcome=PROBLEM tasks=backup-age" } else { shown };
        assert!(actions.contains(shown), "{shown} is not in\n{actions}");
    }
    let (code, yaml, _) = alf(&["action", "get", "chat", "-o", "yaml"]);
    assert_eq!(code, Some(0));
    assert!(yaml.contains("url: https://chat.example.org/hooks/alf"), "{yaml}");
    assert_eq!(alf(&["action", "delete", "chat", "graphs"]).0, Some(0));
    assert_eq!(alf(&["contacts", "delete", "ben"]).0, Some(1), "it is used");
    assert_eq!(service.get("actions")["total"], 3);
}

#[test]
fn a_result_says_what_caused_it_where_an_action_did() {
    let (sshd, service) = (Sshd::start(), Service::start());
    service.add_host(&sshd);
    service.add_task("hello", "web1", json!({"command": "echo hi"}), None);
    let result = service.run("hello");
    assert!(result.as_object().unwrap().contains_key("cause") && result["cause"].is_null(), "{result}");
    assert_eq!(service.get("results?trigger=manual")["total"], 1);
    assert_eq!(service.get("results?trigger=action")["total"], 0);
    let refused = service.call("GET", "/api/v1/results?trigger=alarm", &[], None);
    assert!([400, 422].contains(&refused.status) && refused.text().contains("action"), "{}", refused.text());
}
