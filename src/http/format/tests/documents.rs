//! The documents of all nouns, as the API reads and writes them: what is sent as JSON, shown as XML and sent back as XML
//! is the same, whatever odd text is in it.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::super::to_xml;
use super::generator::Generator;
use super::{good_json, good_xml};
use crate::model::{
    Action, Contact, Credential, CredentialDocument, Defaults, Definition, Downtime, Host, HostTask, Key, Noun,
    Program, Schedule, Secret, SecretDocument, SecretField, SecretText, Secrets, Task, TaskSchedule,
};

/// Documents of each noun.
const ROUNDS: usize = 400;
const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA6rJ4N8sZDmX0BdOWPYsTNWyZfzT/LKPv1yHuK7M4ys";
/// Of these a document has exactly one, or both of a pair.
const ONE_OF: [&[&[&str]]; 5] = [
    &[&["password"], &["private_key", "passphrase"], &["private_key", "certificate"], &["key_file"], &["agent"]],
    &[&["command"], &["script"], &["program"]],
    &[&["host"], &["selector"]],
    &[&["schedule"], &["cron", "timezone"]],
    &[&["starts_at", "ends_at"], &["cron", "timezone", "duration"]],
];

#[test]
fn every_document_is_the_same_after_json_and_xml() {
    check::<Action>();
    check::<Contact>();
    check::<Credential>();
    check::<Downtime>();
    check::<Host>();
    check::<HostTask>();
    check::<Key>();
    check::<Program>();
    check::<Schedule>();
    check::<Secret>();
    check::<Task>();
    check::<TaskSchedule>();
}

fn check<T: Definition<Document: ToSchema>>() {
    let mut generator = Generator(8253);
    let fields = fields_of::<T::Document>();
    let fields_kept = [
        "password",
        "private_key",
        "passphrase",
        "sudo_password",
        "value",
        "hash",
        "then/webhook/hmac_secret",
        "then/influx/token",
    ];
    let kept = "-----BEGIN OPENSSH PRIVATE KEY-----";
    let kept: Secrets = fields_kept.map(|field| (field.to_owned(), SecretText::new(kept.to_owned()))).into();
    let defaults = Defaults::default();
    let (mut legal, mut seen) = (0, BTreeSet::new());
    for round in 0..ROUNDS {
        let sent = document(&mut generator, T::NOUN, &fields);
        seen.extend(sent.keys().cloned());
        let sent = Value::Object(sent);
        let from_json: T::Document = good_json(&sent.to_string());
        let shown = without_nulls(serde_json::to_value(&from_json).unwrap());
        assert_eq!(shown, sent, "{} {round}: what is sent is what is read", T::NOUN);
        let xml = to_xml(T::NOUN.singular(), &from_json).unwrap();
        let from_xml: T::Document = good_xml(T::NOUN.singular(), &xml);
        assert_eq!(without_nulls(serde_json::to_value(&from_xml).unwrap()), sent, "{} {round}: {xml}", T::NOUN);

        let checked = T::check(from_json, &kept, &defaults);
        assert_eq!(T::check(from_xml, &kept, &defaults), checked, "{} {round}: {xml}", T::NOUN);
        let Ok(definition) = checked else { continue };
        legal += 1;
        let (shown, own) = (definition.document(), definition.secrets());
        let again = |document: T::Document| T::check(document, &own, &defaults).as_ref() == Ok(&definition);
        let json = serde_json::to_string(&shown).unwrap();
        assert!(again(good_json(&json)), "{} {round}: {json}", T::NOUN);
        let xml = to_xml(T::NOUN.singular(), &shown).unwrap();
        assert!(again(good_xml(T::NOUN.singular(), &xml)), "{} {round}: {xml}", T::NOUN);
    }
    assert!(legal > ROUNDS / 4, "only {legal} of {ROUNDS} {} are legal", T::NOUN.url());
    assert!(fields.is_subset(&seen), "of {} there were only {seen:?}", T::NOUN.url());
}

#[test]
fn secrets_are_read_to_the_last_character_in_both_formats() {
    #[derive(Serialize)]
    struct Sent<'a> {
        name: &'a str,
        value: &'a str,
    }
    #[derive(Serialize)]
    struct Login<'a> {
        password: &'a str,
    }
    let mut generator = Generator(8253);
    for _ in 0..2_000 {
        let text = generator.text();
        let same = Some(SecretField::New(SecretText::new(text.clone())));
        let sent = Sent { name: "token", value: &text };
        let xml = to_xml("secret", &sent).unwrap();
        assert!(good_xml::<SecretDocument>("secret", &xml).value == same, "{xml}");
        let json = serde_json::to_string(&sent).unwrap();
        assert!(good_json::<SecretDocument>(&json).value == same, "{json}");
        let xml = to_xml("credential", &Login { password: &text }).unwrap();
        assert!(good_xml::<CredentialDocument>("credential", &xml).password == same, "{xml}");
    }
}

/// The fields that a client may set, by the schema that it is shown.
fn fields_of<T: ToSchema>() -> BTreeSet<String> {
    let schema = serde_json::to_value(T::schema()).unwrap();
    let fields = schema["properties"].as_object().unwrap().iter();
    fields.filter(|(_, field)| field["readOnly"] != true).map(|(name, _)| name.clone()).collect()
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let some = fields.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(some.map(|(name, value)| (name, without_nulls(value))).collect())
        }
        other => other,
    }
}

/// A document with some of these fields, most of them legal.
fn document(g: &mut Generator, noun: Noun, fields: &BTreeSet<String>) -> Map<String, Value> {
    let mut document: Map<String, Value> =
        fields.iter().filter_map(|name| g.maybe(|g| (name.clone(), field(g, noun, name)))).collect();
    for required in ["name", "task", "role", "then"].iter().filter(|name| fields.contains(**name)) {
        document.insert((*required).to_owned(), field(g, noun, required));
    }
    if noun == Noun::Program {
        // What its file is.
        document.insert("sha256".to_owned(), json!("ab".repeat(32)));
        document.insert("size".to_owned(), json!(g.count(1 << 20)));
    }
    for choices in ONE_OF.iter().filter(|all| all.iter().all(|one| one.iter().all(|field| fields.contains(*field)))) {
        let chosen = g.pick(choices);
        for other in choices.iter().flat_map(|choice| choice.iter()).filter(|name| !chosen.contains(name)) {
            document.remove(*other);
        }
        for name in chosen.iter() {
            document.insert((*name).to_owned(), field(g, noun, name));
        }
    }
    document
}

fn field(g: &mut Generator, noun: Noun, name: &str) -> Value {
    match name {
        "name" | "credential" | "jump" | "task" | "host" | "schedule" => json!(g.name()),
        "title" => json!(g.text().replace(['\n', '\r'], "")),
        "description" | "comment" => json!(g.text()),
        "labels" => g.labels(),
        "address" => json!(g.pick(&["web1.example.org", "192.0.2.1", "fe80::1%eth0", "höst"])),
        "port" => json!(g.count(65_535)),
        "user" | "run_as" => json!(g.pick(&["root", "deploy", "a.b-c"])),
        "host_key" => json!({"policy": g.pick(&["strict", "accept-new"]), "keys": [KEY]}),
        "max_sessions" | "max_attempts" | "max_running" => json!(g.count(1000)),
        "timezone" if noun == Noun::Host => json!(g.pick(&["UTC", "Europe/Berlin", "America/Argentina/Ushuaia"])),
        "timezone" => json!(g.pick(&["UTC", "Asia/Kathmandu", "host"])),
        "env" => g.variables(),
        "agent" => json!(true),
        "enabled" | "exec" | "flapping" => json!(g.count(2) == 1),
        "command" => json!(format!("echo {}", g.plain())),
        "script" => {
            let body = format!("#!/bin/sh\n{}", g.plain());
            json!({"interpreter": ["/bin/sh", "-e"], "body": body, "args": g.plains()})
        }
        "program" => json!({"name": g.name(), "args": g.plains()}),
        "stdin" => g.value(),
        "cwd" => json!(format!("/{}", g.plain())),
        "timeout" => json!(g.pick(&["none", "90s", "1h30m"])),
        "start_within" | "kill_grace" | "retry_interval" | "duration" | "missed_max_age" => {
            json!(g.pick(&["250ms", "90s", "1h30m", "2d"]))
        }
        "output_limit" => json!(g.count(1 << 20)),
        "plugin" => json!(g.pick(&["none", "nagios"])),
        "expect" => json!({
            "exit_codes": [g.count(4)], "stdout_equals": g.plain(), "stderr_empty": true, "max_duration": "5s",
        }),
        "retention" => json!({"max_age": g.pick(&["none", "30d"]), "max_count": 1 + g.count(1000)}),
        "overlap" => json!(g.pick(&["skip", "queue", "allow"])),
        "selector" => json!(g.pick(&["*", "role=web,env!=dev", "zone in (a,b),!old", "@name=web1", "a=日本"])),
        "cron" => json!(g.pick(&["@daily", "*/5 0-6 1,15 * mon-fri", "@every 90s", "0 0 12 * * SUN"])),
        "splay" => json!(g.pick(&["auto", "30s"])),
        "mode" => json!(g.pick(&["suppress", "pause"])),
        "missed" => json!(g.pick(&["skip", "last", "all"])),
        "not_before" | "starts_at" => json!("2026-11-23T09:30:00.250Z"),
        "not_after" | "ends_at" | "expires_at" => json!("2027-01-01T00:00:00.000Z"),
        "finish_by" => json!(g.pick(&["06:00", "5h"])),
        "role" => json!(g.pick(&["viewer", "operator", "admin"])),
        "email" => json!(g.pick(&["anna@example.org", "o'neil+alf@localhost"])),
        "phone" => json!("+34 600 <123> & 456"),
        "addresses" => json!({"pager": "4711", "chat-1.x": g.pick(&["@anna", "a & <b>"])}),
        "notify_on" => json!([g.pick(&["OK", "DOWN"])]),
        "quiet_hours" => json!({
            "timezone": g.pick(&["UTC", "Asia/Kathmandu"]), "except": ["CRITICAL", "DOWN"],
            "periods": [{"days": g.pick(&["mon-fri", "sat-sun"]), "from": "22:00", "to": g.pick(&["07:00", "24:00"])}],
        }),
        "when" => g.when(),
        "then" => g.then_done(),
        "contacts" => json!(["anna", "ben"]),
        "recovery" => json!(g.count(2) == 1),
        "throttle" | "repeat" => json!(g.pick(&["none", "10m"])),
        "limit" => json!(g.pick(&["none", "10/h"])),
        "digest" => json!("none"),
        "key_file" => json!(g.pick(&["~/.ssh/id_ed25519", "/etc/alf/key & <co>"])),
        "certificate" => json!(format!("ssh-ed25519-cert-v01@openssh.com {}", g.plain())),
        "value" => json!({"set": true}),
        "password" | "private_key" | "passphrase" | "sudo_password" => {
            if g.count(2) == 1 {
                json!({"set": true})
            } else {
                json!({"secret": g.name()})
            }
        }
        _ => panic!("{noun} has a new field {name}: give this test values for it"),
    }
}

impl Generator {
    fn pick<'a, T: ?Sized>(&mut self, all: &[&'a T]) -> &'a T {
        all[self.below(all.len())]
    }

    /// From 1 to as many.
    fn count(&mut self, most: usize) -> usize {
        self.below(most) + 1
    }

    fn when(&mut self) -> Value {
        let moment = [json!({"on": "change"}), json!({"after": 3}), json!({"lasting": "1h"})];
        let mut when = moment[self.below(3)].clone();
        when["object"] = json!("both");
        when["tasks"] = json!([self.name()]);
        when["selector"] = json!("role=web");
        when["states"] = json!(["CRITICAL", "UNREACHABLE"]);
        when["reasons"] = json!(["exit_code"]);
        when["exit_codes"] = json!([self.count(255)]);
        when["output_regex"] = json!(self.pick(&["^<&\"", "a|b"]));
        when["perf"] = json!(self.pick(&["load1 > 5", "'/var log' <= 90%"]));
        when
    }

    /// What follows; sometimes what does not go with all else that an Action says.
    fn then_done(&mut self) -> Value {
        let text = self.plain().replace(['{', '}'], "");
        match self.below(8) {
            0 => json!({"run": self.name(), "on": {"selector": "a=b"}}),
            1 => json!({"run": self.name(), "on": self.name()}),
            2 => json!({"webhook": {
                "url": {"secret": self.name()}, "hmac_secret": {"set": true}, "body": text, "allow_private": true,
                "headers": {"X-A": "a & b", "Authorization": {"secret": self.name()}},
            }}),
            3 => {
                json!({"influx": {"url": "http://i:8086/?a=b&c=d", "org": "o", "bucket": "b", "token": {"set": true}}})
            }
            4 => json!({"ganglia": {"address": "gmond:8649", "spoof": self.count(2) == 1}}),
            _ => {
                json!({"email": {"to": ["Ops <ops@example.org>"], "from": "alf@example.org", "subject": text, "body": text}})
            }
        }
    }

    fn name(&mut self) -> String {
        let rest = ["", "1", "-1.b_C", ".example.org"];
        format!("{}{}", self.pick(&["web", "Db", "9"]), self.pick(&rest))
    }

    /// Text without NUL, as a process may be given.
    fn plain(&mut self) -> String {
        self.text().replace('\0', "")
    }

    fn plains(&mut self) -> Vec<String> {
        self.many(Self::plain)
    }

    fn value(&mut self) -> Value {
        if self.count(5) == 1 { json!({"secret": self.name()}) } else { json!(self.plain()) }
    }

    fn labels(&mut self) -> Value {
        let label = |g: &mut Self| {
            let key = g.text().replace([',', '=', '!', '(', ')', '@'], "");
            (format!("k{}", key.trim_end()), Value::from(g.text()))
        };
        Value::Object(self.many(label).into_iter().collect())
    }

    fn variables(&mut self) -> Value {
        let variable = |g: &mut Self| (g.pick(&["LANG", "_a", "A1", "x_Y"]).to_owned(), g.value());
        Value::Object(self.many(variable).into_iter().collect())
    }
}
