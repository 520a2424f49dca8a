//! What is seen of Actions from outside: notifications, traces, health, figures.

use serde_json::{Value, json};

use crate::rights::{call, key};
use crate::support::events::Stream;
use crate::support::service::{Service, until};
use crate::support::sshd::Sshd;

/// A PROBLEM of which one contact is to be told by a webhook that nobody listens to, another one is not to be told, and
/// which a task mends.
struct Told {
    service: Service,
    /// The Result.
    result: String,
    _sshd: Sshd,
}

impl Told {
    fn start() -> Self {
        let (sshd, service) = (Sshd::start(), Service::start());
        service.add_host(&sshd);
        service.add_task("check", "web1", json!({"command": "echo full; exit 2"}), None);
        service.send("PUT", "tasks/mend", &json!({"command": "echo mended"})).expect(201);
        service.send("PUT", "contacts/anna", &json!({"email": "anna@example.org"})).expect(201);
        service.send("PUT", "contacts/bo", &json!({"notify_on": ["DOWN"]})).expect(201);
        // Nobody listens at port 1 of the loopback.
        let hook = json!({"url": "http://127.0.0.1:1/hook", "allow_private": true, "timeout": "1s"});
        for (name, action) in [
            ("graphs", json!({"then": {"graphite": {"address": "127.0.0.1:1"}}, "when": {"tasks": ["check"]}})),
            ("hook", json!({"then": {"webhook": hook}, "contacts": ["anna", "bo"], "when": {"tasks": ["check"]}})),
            ("other", json!({"then": {"run": "mend"}, "when": {"tasks": ["mend"], "outcome": "PROBLEM"}})),
            ("repair", json!({"then": {"run": "mend"}, "when": {"tasks": ["check"]}})),
        ] {
            service.send("PUT", &format!("actions/{name}"), &action).expect(201);
        }
        let result = service.run("check")["id"].as_str().unwrap().to_owned();
        let told = Self { service, result, _sshd: sshd };
        until("both notifications", || {
            let sent = told.total("outcome=sent&action=repair") == 1;
            let tried =
                told.notifications("action=hook")[0]["detail"].as_str().is_some_and(|it| it.contains("attempt"));
            let sinks = told.actor("graphs")["state"] == "away";
            (sent && tried && sinks && told.service.get("results?task=mend")["total"] == 1).then_some(())
        });
        told
    }

    fn notifications(&self, query: &str) -> Value {
        self.service.get(&format!("notifications?{query}"))["items"].clone()
    }

    /// An Action's branch of the tree of actors.
    fn actor(&self, action: &str) -> Value {
        let tree = self.service.call("GET", "/health/actors", &[], None).expect(200).json();
        let of = |tree: &Value, name: &str| {
            let children = tree["children"].as_array().unwrap();
            children.iter().find(|child| child["name"] == name).cloned().unwrap_or_default()
        };
        of(&of(&tree, "action"), action)
    }

    fn total(&self, query: &str) -> u64 {
        self.service.get(&format!("notifications?{query}"))["total"].as_u64().unwrap()
    }

    fn cli(&self, args: &[&str]) -> String {
        let done = self.service.cli(args);
        assert_eq!(done.status.code(), Some(0), "{args:?}: {done:?}");
        String::from_utf8(done.stdout).unwrap()
    }
}

#[test]
fn notifications_tell_who_was_told_what_by_every_filter_and_in_both_forms() {
    let told = Told::start();
    let of_anna = told.notifications("contact=anna");
    let [hook] = &of_anna.as_array().unwrap()[..] else { panic!("{}", told.notifications("")) };
    for (field, expected) in [
        ("action", json!("hook")),
        ("host", json!("web1")),
        ("task", json!("check")),
        ("type", json!("PROBLEM")),
        ("state", json!("CRITICAL")),
        ("outcome", json!("pending")),
        ("result", json!(told.result)),
        ("run", Value::Null),
        ("reason", Value::Null),
    ] {
        assert_eq!(hook[field], expected, "{hook}");
    }
    let mend = &told.service.get("results?task=mend")["items"][0];
    let repair = &told.notifications("action=repair")[0];
    assert_eq!((&repair["run"], &repair["contact"]), (&mend["id"], &Value::Null));
    for (query, expected) in [
        ("", 2),
        ("host=web1&task=check&state=CRITICAL&type=PROBLEM", 2),
        ("type=RECOVERY", 0),
        ("state=DOWN", 0),
        ("outcome=held", 0),
        ("contact=bo", 0),
        ("task=mend", 0),
        ("since=2999-01-01T00:00:00Z", 0),
        ("until=2000-01-01T00:00:00Z", 0),
    ] {
        assert_eq!(told.total(query), expected, "{query}");
    }
    let ask = |path: &str, headers: &[(&str, &str)]| told.service.call("GET", path, headers, None);
    let refused = ask("/api/v1/notifications?outcome=lost&type=problem&state=x&contact=a%20b&cursor=x&limit=0", &[]);
    let words = refused.text();
    for known in ["pending, sent, held, throttled, dropped, failed", "FLAPPINGSTOP", "UNREACHABLE"] {
        assert!(words.contains(known), "{words}");
    }
    for pointer in ["contact", "cursor", "limit", "outcome", "state", "type"] {
        assert!(words.contains(&format!("\"/{pointer}\"")), "{pointer}: {words}");
    }

    let first = ask("/api/v1/notifications?limit=1", &[]).expect(200);
    assert!(first.header("link").is_some_and(|link| link.ends_with("rel=\"next\"")));
    let (first, newest) = (first.json(), told.notifications(""));
    let next = first["next"].as_str().unwrap();
    let second = told.service.get(&format!("notifications?limit=1&cursor={next}"));
    assert_eq!((&first["items"][0]["id"], &second["items"][0]["id"]), (&newest[0]["id"], &newest[1]["id"]));
    assert_eq!((&first["total"], &second["next"]), (&json!(2), &Value::Null));
    let xml = ask("/api/v1/notifications?action=repair", &[("Accept", "application/xml")]).expect(200).text();
    assert!(xml.contains("<notifications total=\"1\"><notification>") && xml.contains("<type>PROBLEM</type>"), "{xml}");

    // What is decided is told to who listens.
    let mut stream = Stream::open(&told.service, "events?task=check", Some("0.0"));
    let event = std::iter::from_fn(|| Some(stream.event())).take(20).find(|(kind, _, _)| kind == "notification");
    let (_, _, event) = event.expect("nobody is told of notifications");
    assert_eq!((&event["id"], &event["outcome"], &event["action"]), (&repair["id"], &json!("sent"), &json!("repair")));

    let table = told.cli(&["notifications", "--since", "1h", "--utc"]);
    assert!(table.starts_with("AT ") && table.contains("PROBLEM  web1  check  CRITICAL"), "{table}");
    assert!(table.contains("task \"mend\" on host \"web1\""), "{table}");
    assert_eq!(told.cli(&["notifications", "--outcome", "SENT", "-o", "name"]).trim(), repair["id"]);
    assert!(told.cli(&["notifications", "--contact", "anna", "-o", "yaml"]).contains("action: hook"));
}

#[test]
fn a_trace_tells_of_every_action_whether_it_was_for_it_why_not_and_what_it_fired() {
    let told = Told::start();
    let trace = |id: &str| told.service.get(&format!("results/{id}/trace"));
    let whole = trace(&told.result);
    assert_eq!((&whole["result"], &whole["why"]), (&json!(told.result), &Value::Null));
    let [graphs, hook, other, repair] = &whole["items"].as_array().unwrap()[..] else { panic!("{whole}") };
    assert_eq!((&graphs["matched"], &graphs["fired"][0]["outcome"]), (&json!(true), &json!("sent")), "{graphs}");
    assert_eq!((&hook["action"], &hook["matched"], &hook["version"]), (&json!("hook"), &json!(true), &json!(1)));
    assert_eq!((&hook["fired"][0]["contact"], &hook["fired"][0]["outcome"]), (&json!("anna"), &json!("pending")));
    assert_eq!((&hook["held"][0]["contact"], &hook["held"][0]["outcome"]), (&json!("bo"), &Value::Null));
    assert!(hook["held"][0]["detail"].as_str().unwrap().contains("notify_on"), "{hook}");
    assert_eq!((&other["matched"], &other["fired"]), (&json!(false), &json!([])));
    assert!(other["why"].as_str().unwrap().starts_with("tasks"), "{other}");
    let run = &repair["fired"][0]["run"];
    let mended = told.service.get("results?task=mend")["items"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!((&run["id"], &run["url"]), (&json!(mended), &json!(format!("/api/v1/results/{mended}"))));
    assert_eq!((&run["stage"], &run["outcome"], &run["host"]), (&json!("ended"), &json!("OK"), &json!("web1")));

    // What the task that was fired came to is looked at in its turn.
    let of_mend = until("the trace of the fired run", || Some(trace(&mended)).filter(|it| !it["at"].is_null()));
    assert!(of_mend["items"][2]["why"].as_str().unwrap().contains("not linked"), "{of_mend}");
    // Of one with which nothing changes no trace is kept: it is told anew.
    told.service.send("PATCH", "tasks/check", &json!({"command": "echo well"})).expect(200);
    let first = told.service.run("check")["id"].as_str().unwrap().to_owned();
    until("the trace of a recovery", || Some(trace(&first)).filter(|it| !it["at"].is_null()));
    let second = told.service.run("check")["id"].as_str().unwrap().to_owned();
    let again = until("the Result that is as before", || {
        Some(trace(&second)).filter(|it| it["items"].as_array().is_some_and(|items| !items.is_empty()))
    });
    assert!(again["why"].as_str().unwrap().contains("nothing had changed") && again["at"].is_null(), "{again}");
    assert_eq!(
        (&again["items"][0]["matched"], &again["items"][3]["matched"]),
        (&json!(true), &json!(false)),
        "{again}"
    );
    assert!(again["items"][3]["why"].is_string(), "{again}");
    let ad_hoc = told.service.send("POST", "hosts/web1/exec?wait=60s", &json!({"command": "true"})).expect(200).json();
    let nothing = trace(ad_hoc["id"].as_str().unwrap());
    assert_eq!((&nothing["items"], &nothing["at"]), (&json!([]), &Value::Null));
    assert!(nothing["why"].as_str().unwrap().contains("ad-hoc"), "{nothing}");
    let nowhere = "/api/v1/results/01a20867-2305-7000-a80f-36c3e8703ee2/trace";
    told.service.call("GET", nowhere, &[], None).expect(404);
    let path = format!("/api/v1/results/{}/trace", told.result);
    let xml = told.service.call("GET", &path, &[("Accept", "application/xml")], None).expect(200).text();
    assert!(xml.contains("<trace><result>") && xml.contains("<stage>ended</stage>"), "{xml}");

    let shown = told.cli(&["result", &told.result, "--trace"]);
    let line = |action: &str| shown.lines().find(|line| line.starts_with(action)).unwrap_or_default().to_owned();
    assert!(line("hook").contains("anna") && line("hook").contains("pending"), "{shown}");
    assert!(line("other").contains("no") && line("other").contains("tasks"), "{shown}");
    assert!(line("repair").contains(&format!("run {mended} ended OK")), "{shown}");
    assert!(told.cli(&["result", &told.result, "--trace", "-o", "json"]).contains("\"stage\": \"ended\""));
}

#[test]
fn a_receiver_that_is_away_is_seen_in_health_stats_and_metrics_and_alf_is_ready() {
    let told = Told::start();
    let hook = told.actor("hook");
    assert_eq!((&hook["kind"], &hook["state"], &hook["queue"]), (&json!("webhook"), &json!("away"), &json!(1)));
    assert!(hook["last_error"].as_str().is_some_and(|it| it.contains("127.0.0.1:1")), "{hook}");
    assert!(hook["details"]["away_since"].is_string(), "{hook}");
    let graphs = told.actor("graphs");
    assert!(graphs["kind"] == "graphite" && graphs["last_error"].is_string() && graphs["queue"] != 0, "{graphs}");
    let repair = told.actor("repair");
    assert_eq!((&repair["state"], &repair["details"]["fired"]), (&json!("up"), &json!("1")));
    told.service.call("GET", "/health/ready", &[], None).expect(200);

    let stats = told.service.get("stats");
    let actions = stats["actions"].as_array().unwrap();
    let names: Vec<&Value> = actions.iter().map(|action| &action["action"]).collect();
    assert_eq!(names, ["graphs", "hook", "other", "repair"]);
    assert_eq!(
        (&actions[0]["fired"], &actions[0]["state"], &stats["actions_fired"]),
        (&json!(1), &json!("away"), &json!(2))
    );
    assert!(
        actions[0]["sink"]["spooled"].as_u64().unwrap() + actions[0]["sink"]["queue"].as_u64().unwrap() > 0,
        "{stats}"
    );
    assert_eq!(
        (&actions[1]["queued"], &actions[1]["sink"], &stats["events_waiting"]),
        (&json!(1), &Value::Null, &json!(0))
    );
    let metrics = told.service.call("GET", "/metrics", &[], None).expect(200).text();
    for line in [
        "alf_action_fired_total{action=\"repair\"} 1",
        "alf_action_queued{action=\"hook\"} 1",
        "alf_action_receiver_up{action=\"hook\"} 0",
        "alf_action_receiver_up{action=\"repair\"} 1",
        "alf_sink_points_sent_total{action=\"graphs\"} 0",
        "alf_actor_restarts_total{actor=\"action\"} 0",
    ] {
        assert!(metrics.lines().any(|one| one == line), "{line} is not in\n{metrics}");
    }
    let health = told.cli(&["health"]);
    assert!(health.contains("  webhook hook") && health.contains("away"), "{health}");
    told.service.send("PATCH", "actions/hook", &json!({"enabled": false})).expect(200);
    assert_eq!(told.actor("hook")["state"], "disabled");
}

#[test]
fn a_key_for_some_hosts_sees_their_notifications_and_traces_alone() {
    let told = Told::start();
    let service = &told.service;
    service.send("PUT", "hosts/db1", &json!({"address": "127.0.0.1", "port": 1, "labels": {"role": "db"}})).expect(201);
    service.send("PATCH", "hosts/web1", &json!({"labels": {"role": "web"}})).expect(200);
    let web = key(service, &json!({"name": "web", "role": "viewer", "selector": "role=web"}));
    let db = key(service, &json!({"name": "db", "role": "viewer", "selector": "role=db"}));
    let ask = |key: &str, path: &str| call(service, key, "GET", &format!("/api/v1/{path}"), &Value::Null);
    assert_eq!(ask(&web, "notifications").expect(200).json()["total"], 2);
    assert_eq!(ask(&db, "notifications").expect(200).json()["total"], 0);
    ask(&db, "notifications?host=web1").expect(403);
    let trace = format!("results/{}/trace", told.result);
    ask(&db, &trace).expect(403);
    // An Action that is for another host by name as well, and a task that is fired elsewhere.
    service.send("PATCH", "actions/hook", &json!({"when": {"hosts": ["web1", "db1"]}})).expect(200);
    service.send("PATCH", "actions/repair", &json!({"then": {"on": "db1"}})).expect(200);
    let shown = ask(&web, &trace).expect(200).json();
    let actions: Vec<&Value> = shown["items"].as_array().unwrap().iter().map(|item| &item["action"]).collect();
    assert_eq!(actions, [&json!("graphs"), &json!("other"), &json!("repair")], "{shown}");
    assert_eq!(shown["items"][2]["fired"][0]["run"], Value::Null, "{shown}");
    let repair = &ask(&web, "notifications?action=repair").expect(200).json()["items"][0];
    assert_eq!((&repair["run"], &repair["detail"]), (&Value::Null, &json!("a task, which may run on other hosts")));
}

#[test]
fn a_dry_run_shows_what_would_be_sent_without_a_secret_and_sends_nothing() {
    let told = Told::start();
    let service = &told.service;
    service.send("PUT", "secrets/chat-url", &json!({"value": "https://chat.example.org/hunter2"})).expect(201);
    service.send("PUT", "secrets/token", &json!({"value": "Bearer hunter2"})).expect(201);
    let chat = json!({
        "url": {"secret": "chat-url"}, "headers": {"Authorization": {"secret": "token"}},
        "body": "{\"text\": \"{{ host }}/{{ task }} is {{ state }}: {{ message }}\"}",
    });
    let of_check = json!({"tasks": ["check"]});
    service
        .send("PUT", "actions/chat", &json!({"then": {"webhook": chat}, "when": of_check, "enabled": false}))
        .expect(201);
    let mail = json!({"then": {"email": {}}, "contacts": ["anna"], "when": of_check});
    service.send("PUT", "actions/mail", &mail).expect(201);
    let (before, stats) = (told.notifications(""), service.get("stats")["actions"].clone());

    let test = |action: &str| {
        let path = format!("/api/v1/actions/{action}/test?result={}", told.result);
        service.call("POST", &path, &[], None).expect(200)
    };
    let shown = test("chat");
    assert!(!shown.text().contains("hunter2"), "{}", shown.text());
    let chat = shown.json();
    assert_eq!(
        (&chat["matched"], &chat["enabled"], &chat["result"]),
        (&json!(true), &json!(false), &json!(told.result))
    );
    let message = &chat["would"][0]["message"];
    assert_eq!((&message["method"], &message["url"]), (&json!("POST"), &json!("(the secret \"chat-url\")")));
    assert_eq!(message["headers"]["Authorization"], "(the secret \"token\")");
    assert_eq!(message["headers"]["Content-Type"], "application/json");
    let body: Value = serde_json::from_str(message["body"].as_str().unwrap()).unwrap();
    assert_eq!(body["text"], "web1/check is CRITICAL: exit code 2: full");

    let hook = test("hook").json();
    let [anna, bo] = &hook["would"].as_array().unwrap()[..] else { panic!("{hook}") };
    assert_eq!((&anna["contact"], &bo["contact"], &bo["outcome"]), (&json!("anna"), &json!("bo"), &Value::Null));
    let repair = test("repair").json();
    let run = &repair["would"][0]["run"];
    assert_eq!((&run["task"], &run["hosts"]), (&json!("mend"), &json!(["web1"])));
    assert_eq!(run["env"]["NAGIOS_SERVICESTATE"], "CRITICAL");
    assert!(run["stdin"].as_str().unwrap().contains(&told.result), "{run}");
    let other = test("other").json();
    assert!(other["matched"] == false && other["why"].as_str().unwrap().starts_with("tasks"), "{other}");
    assert_eq!(other["would"], json!([]));

    // What stands in the way is told, and the message shown all the same.
    let work = json!({"host": "web1", "starts_at": "2020-01-01T00:00:00Z", "ends_at": "2999-01-01T00:00:00Z"});
    service.send("PUT", "downtimes/work", &work).expect(201);
    let held = test("mail").json();
    let held = &held["would"][0];
    assert_eq!((&held["outcome"], &held["reason"]), (&json!("held"), &json!("downtime")));
    let message = &held["message"];
    assert_eq!(
        (&message["to"], &message["subject"]),
        (&json!(["anna@example.org"]), &json!("PROBLEM web1/check is CRITICAL"))
    );
    assert_eq!(message["fault"], "the setting email.server is missing");
    assert_eq!(told.notifications(""), before, "nothing was noted");
    let after = service.get("stats")["actions"].clone();
    let of = |all: &Value, name: &str| all.as_array().unwrap().iter().find(|one| one["action"] == name).cloned();
    assert_eq!(of(&after, "repair"), of(&stats, "repair"), "nothing was counted");

    let ask = |path: &str| service.call("POST", path, &[], None);
    assert_eq!(ask("/api/v1/actions/hook/test").pointers(), ["/result"]);
    assert_eq!(ask("/api/v1/actions/hook/test?result=x").pointers(), ["/result"]);
    ask("/api/v1/actions/hook/test?result=01a20867-2305-7000-a80f-36c3e8703ee2").expect(404);
    ask(&format!("/api/v1/actions/none/test?result={}", told.result)).expect(404);
    let path = format!("/api/v1/actions/chat/test?result={}", told.result);
    let xml = service.call("POST", &path, &[("Accept", "application/xml")], None).expect(200).text();
    assert!(xml.contains("<test><action>chat</action>") && xml.contains("<entry key=\"Content-Type\">"), "{xml}");
    let viewer = key(service, &json!({"name": "v", "role": "viewer"}));
    call(service, &viewer, "POST", &path, &json!({})).expect(403);
    service.send("PUT", "hosts/db1", &json!({"address": "127.0.0.1", "port": 1, "labels": {"role": "db"}})).expect(201);
    let db = key(service, &json!({"name": "db", "role": "operator", "selector": "role=db"}));
    call(service, &db, "POST", &path, &json!({})).expect(403);

    let shown = told.cli(&["action", "test", "mail", &told.result]);
    for part in
        ["matched  yes", "outcome  held", "subject  PROBLEM web1/check is CRITICAL", "Host:    web1 (127.0.0.1)"]
    {
        assert!(shown.contains(part), "{part} is not in\n{shown}");
    }
    assert!(told.cli(&["action", "test", "chat", &told.result, "-o", "json"]).contains("\"Content-Type\""));
}
