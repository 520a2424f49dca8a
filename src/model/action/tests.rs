//! What an Action may say, and what it may not.

use super::super::{AnyState, HostState, SecretText};
use super::*;

fn check(json: &str) -> Result<Action, Vec<Fault>> {
    Action::check(serde_json::from_str(json).unwrap(), &Secrets::new(), &Defaults::default())
}

/// An Action that runs a task, with these fields beside.
fn with(fields: &str) -> Result<Action, Vec<String>> {
    told(&format!(r#"{{"name":"a","then":{{"run":"repair"}},{fields}}}"#))
}

/// An Action of which this follows.
fn then(then: &str) -> Result<Action, Vec<String>> {
    told(&format!(r#"{{"name":"a","contacts":["anna"],"then":{then}}}"#))
}

fn told(json: &str) -> Result<Action, Vec<String>> {
    check(json).map_err(|faults| faults.into_iter().map(|fault| fault.pointer).collect())
}

fn again(action: &Action) -> Action {
    let shown = serde_json::to_string(&action.document()).unwrap();
    let read = serde_json::from_str(&shown).unwrap();
    Action::check(read, &action.secrets(), &Defaults::default()).unwrap_or_else(|faults| panic!("{shown}: {faults:?}"))
}

#[test]
fn what_is_left_out_is_what_most_people_mean() {
    let action = check(r#"{"name":"page","then":{"run":"repair"}}"#).unwrap();
    assert_eq!(action.when.moment, Moment::On(On::Hard));
    assert_eq!(action.when.object, ObjectKind::Both);
    assert_eq!(action.then, Then::Run(FireTask { task: Name::parse("repair").unwrap(), on: RunOn::SameHost }));
    assert!(action.enabled && !action.recovery);
    assert_eq!((action.throttle, action.repeat, action.limit, action.digest), (None, None, None, None));
    for (json, recovery) in [
        (r#"{"name":"a","then":{"run":"notify"},"contacts":["anna"]}"#, true),
        (r#"{"name":"a","then":{"email":{"to":["ops@example.org"]}}}"#, true),
        (r#"{"name":"a","then":{"webhook":{"url":"https://example.org/"}}}"#, true),
        (r#"{"name":"a","then":{"run":"notify"},"contacts":["anna"],"recovery":false}"#, false),
        (r#"{"name":"a","then":{"run":"repair"},"recovery":true}"#, true),
        (r#"{"name":"a","then":{"graphite":{"address":"graphite"}}}"#, false),
    ] {
        assert_eq!(check(json).unwrap().recovery, recovery, "{json}");
    }
    for sink in [r#""graphite":{"address":"g:2003"}"#, r#""ganglia":{"address":"g"}"#, INFLUX] {
        let action = check(&format!(r#"{{"name":"a","then":{{{sink}}}}}"#)).unwrap();
        assert_eq!(action.when.moment, Moment::On(On::Result), "{sink}");
    }
}

const INFLUX: &str = r#""influx":{"url":"http://influx:8086","org":"o","bucket":"b"}"#;

#[test]
fn what_is_read_can_be_sent_back() {
    let full = r#"{"name":"a","when":{"object":"task","tasks":["load","load"],"hosts":["web1"],"selector":"role=web",
        "task_selector":"team=db","outcome":"PROBLEM","states":["CRITICAL","WARNING"],"reasons":["exit_code"],
        "exit_codes":[2,1],"on":"change","output_regex":"^CRIT","perf":"load1>5"},
        "then":{"run":"repair","on":{"selector":"role=db"}},"contacts":["ben","anna","ben"],"throttle":"10m",
        "repeat":"1h","limit":"10/h","enabled":false}"#;
    let action = check(full).unwrap();
    assert_eq!(again(&action), action);
    assert_eq!(action.contacts, ["ben", "anna"].map(|name| Name::parse(name).unwrap()));
    assert_eq!((action.when.tasks.len(), action.when.states.len()), (1, 2));
    assert!(action.when.is_of_tasks() && !action.when.is_of_hosts());
    for when in [r#"{"after":3}"#, r#"{"lasting":"1h"}"#, r#"{"lasting":"1h","on":"hard"}"#, r#"{"on":"late"}"#, "{}"] {
        let action = with(&format!(r#""when":{when}"#)).unwrap();
        assert_eq!(again(&action), action, "{when}");
    }
    for json in [
        r#"{"run":"repair","on":"web1"}"#,
        r#"{"webhook":{"url":{"secret":"chat"},"headers":{"Authorization":{"secret":"token"}},"body":"<a>{{ host }}</a>",
            "hmac_secret":"hunter2","timeout":"3s","method":"PUT","allow_private":true}}"#,
        r#"{"email":{"to":["Ops <ops@example.org>"],"from":"alf@example.org","subject":"{{ host }}","body":"x"}}"#,
    ] {
        let action = then(json).unwrap();
        assert_eq!(again(&action), action, "{json}");
    }
    for sink in [
        r#""graphite":{"address":"[::1]:2004","prefix":"","protocol":"pickle"}"#,
        r#""ganglia":{"address":"gmond","spoof":"192.0.2.1:web1"}"#,
        r#""ganglia":{"address":"gmond","spoof":false}"#,
        r#""influx":{"url":"http://i:8086","org":"o","bucket":"b","token":"hunter2","tags":{"dc":"1"}}"#,
        r#""influx":{"url":"http://i","database":"d","user":"u","password":{"secret":"p"},"measurement":"m"}"#,
    ] {
        let action = told(&format!(r#"{{"name":"a","then":{{{sink}}}}}"#)).unwrap();
        assert_eq!(again(&action), action, "{sink}");
    }
}

#[test]
fn every_fault_of_when_is_told_at_its_place() {
    let when = |json: &str| with(&format!(r#""when":{json}"#)).err().unwrap_or_default();
    for (json, places) in [
        (r#"{"after":2,"on":"hard"}"#, &["on"][..]),
        (r#"{"after":0}"#, &["after"]),
        (r#"{"lasting":"0s"}"#, &["lasting"]),
        (r#"{"lasting":"1h","after":2}"#, &["lasting"]),
        (r#"{"lasting":"1h","on":"change"}"#, &["on"]),
        (
            r#"{"tasks":[],"hosts":[],"states":[],"reasons":[],"exit_codes":[]}"#,
            &["states", "exit_codes", "tasks", "hosts", "reasons"],
        ),
        (r#"{"exit_codes":[0,256,-1]}"#, &["exit_codes/1", "exit_codes/2"]),
        (r#"{"output_regex":"a("}"#, &["output_regex"]),
        (r#"{"object":"task","states":["OK","DOWN"]}"#, &["states/1"]),
        (r#"{"object":"host","states":["OK","DOWN"],"on":"late"}"#, &["on", "states/0"]),
        (
            r#"{"object":"host","tasks":["t"],"task_selector":"a=b","exit_codes":[1],"output_regex":"a","perf":"a > 1"}"#,
            &["tasks", "task_selector", "exit_codes", "output_regex", "perf"],
        ),
        (r#"{"object":"host","outcome":"SKIPPED"}"#, &["outcome"]),
        (r#"{"states":["OK","DOWN","UP","UNREACHABLE"],"object":"both"}"#, &[]),
    ] {
        let expected: Vec<String> = places.iter().map(|place| format!("/when/{place}")).collect();
        assert_eq!(when(json), expected, "{json}");
    }
    for unreadable in [r#"{"perf":"load1"}"#, r#"{"on":"soft"}"#, r#"{"states":["BAD"]}"#, r#"{"task":"a"}"#] {
        assert!(serde_json::from_str::<WhenDocument>(unreadable).is_err(), "{unreadable}");
    }
}

#[test]
fn exactly_one_thing_follows_and_every_fault_of_it_is_told() {
    let faults = |json: &str| then(json).err().unwrap_or_default();
    for (json, places) in [
        ("{}", &["/then"][..]),
        (r#"{"run":"a","webhook":{"url":"ftp://x"}}"#, &["/then", "/then/webhook/url"]),
        (r#"{"on":"web1","email":{}}"#, &["/then/on"]),
        (r#"{"webhook":{}}"#, &["/then/webhook/url"]),
        (
            r#"{"webhook":{"url":"https://x/","body":"{{","hmac_secret":"","timeout":"1h"}}"#,
            &["/then/webhook/body", "/then/webhook/hmac_secret", "/then/webhook/timeout"],
        ),
        (r#"{"webhook":{"url":"https://x/","method":"GET","body":"x"}}"#, &["/then/webhook/body"]),
        (
            r#"{"webhook":{"url":"https://x/","headers":{"a b":"x","Host":"x","X-A":"1\n2"}}}"#,
            &["/then/webhook/headers", "/then/webhook/headers", "/then/webhook/headers"],
        ),
        (r#"{"webhook":{"url":"https://x/","headers":{"x-a":"1","X-A":"2"}}}"#, &["/then/webhook/headers"]),
        (
            r#"{"email":{"to":["a@b.c","nobody"],"from":"x","subject":"{% if","body":"{{ a"}}"#,
            &["/then/email/to/1", "/then/email/subject", "/then/email/body", "/then/email/from"],
        ),
    ] {
        assert_eq!(faults(json), places, "{json}");
    }
    let sink = |sink: &str| told(&format!(r#"{{"name":"a","then":{{{sink}}}}}"#)).err().unwrap_or_default();
    for (json, places) in [
        (r#""graphite":{}"#, &["/then/graphite/address"][..]),
        (r#""graphite":{"address":"g","prefix":"a..b"}"#, &["/then/graphite/prefix"]),
        (r#""ganglia":{}"#, &["/then/ganglia/address"]),
        (r#""influx":{"url":"http://i"}"#, &["/then/influx"]),
        (r#""influx":{"url":"i:8086","bucket":"b"}"#, &["/then/influx/url", "/then/influx/org"]),
        (
            r#""influx":{"url":"http://i","database":"d","token":"t","org":"o","password":"p"}"#,
            &["/then/influx/org", "/then/influx/token", "/then/influx/user"],
        ),
        (
            r#""influx":{"url":"http://i","bucket":"b","org":"","tags":{"a":""}}"#,
            &["/then/influx/org", "/then/influx/tags"],
        ),
    ] {
        assert_eq!(sink(json), places, "{json}");
    }
    assert_eq!(told(r#"{"name":"a"}"#).unwrap_err(), ["/then"]);
    for unreadable in [r#"{"run":"a","on":"a b"}"#, r#"{"run":"a","on":{"host":"x"}}"#, r#"{"ganglia":{"spoof":"x"}}"#]
    {
        assert!(serde_json::from_str::<ThenDocument>(unreadable).is_err(), "{unreadable}");
    }
}

#[test]
fn what_does_not_go_together_is_refused() {
    for (json, places) in [
        (r#"{"name":"a","then":{"email":{}}}"#, &["/contacts"][..]),
        (r#"{"name":"a","then":{"run":"t"},"digest":"30s"}"#, &["/digest"]),
        (r#"{"name":"a","then":{"run":"t"},"throttle":"0s","repeat":"0s"}"#, &["/throttle", "/repeat"]),
        (r#"{"name":"a","then":{"email":{}},"contacts":["b"],"digest":"2d"}"#, &["/digest"]),
        (
            r#"{"name":"a","then":{"graphite":{"address":"g"}},"contacts":["b"],"recovery":true,"throttle":"1m","repeat":"1m",
                "limit":"1/h","digest":"30s"}"#,
            &["/digest", "/contacts", "/recovery", "/throttle", "/repeat", "/limit"],
        ),
        (r#"{"name":"a","then":{"graphite":{"address":"g"}},"when":{"on":"late"}}"#, &["/when/on"]),
        (r#"{"name":"a","then":{"graphite":{"address":"g"}},"when":{"lasting":"1h"}}"#, &["/when/lasting"]),
        (r#"{"name":"a","then":{"graphite":{"address":"g"}},"when":{"object":"host"}}"#, &["/when/object"]),
    ] {
        assert_eq!(told(json).unwrap_err(), places, "{json}");
    }
    let none = r#"{"name":"a","then":{"graphite":{"address":"g"}},"throttle":"none","limit":"none","digest":"none"}"#;
    assert!(check(none).is_ok());
    let digest = check(r#"{"name":"a","then":{"email":{}},"contacts":["b"],"digest":"30s"}"#).unwrap();
    assert_eq!(digest.digest, Some(Span::seconds(30)));
}

#[test]
fn urls_hold_nothing_secret_and_nothing_odd() {
    for good in ["http://127.0.0.1:9/", "https://example.org/hook?x=1", "https://[::1]/", "HTTPS://example.org"] {
        assert!(check_url(good).is_ok(), "{good}");
    }
    for bad in [
        "",
        "example.org",
        "ftp://example.org",
        "file:///etc/passwd",
        "https://",
        "https://u:p@example.org/",
        "https://token@example.org/",
        "https://exa mple.org",
        "https://example.org/\nx",
        "https://example.org/#x",
    ] {
        assert!(check_url(bad).is_err(), "{bad}");
    }
}

#[test]
fn its_secrets_are_kept_and_never_shown() {
    let webhook = |secret: &str| {
        format!(r#"{{"name":"a","then":{{"webhook":{{"url":"https://example.org/","hmac_secret":{secret}}}}}}}"#)
    };
    let first = check(&webhook(r#""hunter2""#)).unwrap();
    let shown = serde_json::to_string(&first.document()).unwrap();
    assert!(shown.contains(r#""hmac_secret":{"set":true}"#) && !shown.contains("hunter2"), "{shown}");
    assert!(!format!("{first:?}").contains("hunter2"));
    let place = ("then/webhook/hmac_secret".to_owned(), SecretText::new("hunter2".to_owned()));
    assert_eq!(first.secrets(), Secrets::from([place]));
    assert_eq!(check(&webhook(r#"{"set":true}"#)).unwrap_err()[0].pointer, "/then/webhook/hmac_secret");
    let mut left_out: ActionDocument =
        serde_json::from_str(r#"{"name":"a","then":{"webhook":{"url":"https://example.org/"}}}"#).unwrap();
    Action::keep_left_out(&mut left_out, Some(&first));
    assert_eq!(Action::check(left_out, &first.secrets(), &Defaults::default()).unwrap(), first);
    let named = check(&webhook(r#"{"secret":"signing"}"#)).unwrap();
    assert_eq!(named.secrets(), Secrets::new());
    let told: Vec<_> = named.references().into_iter().map(|(place, other)| format!("{place} {other}")).collect();
    assert_eq!(told, ["/then/webhook/hmac_secret secret \"signing\""]);
}

#[test]
fn all_it_names_is_known_by_its_place() {
    let action = check(
        r#"{"name":"a","when":{"tasks":["load"],"hosts":["web1"],"states":["DOWN"]},"then":{"run":"repair","on":"db1"},
            "contacts":["anna"]}"#,
    );
    let action = action.unwrap();
    assert_eq!(action.when.states.first(), Some(&AnyState::Host(HostState::Down)));
    let named: Vec<_> = action.references().into_iter().map(|(place, other)| format!("{place} {other}")).collect();
    let expected = [
        "/when/tasks/0 task \"load\"",
        "/when/hosts/0 host \"web1\"",
        "/then/run task \"repair\"",
        "/then/on host \"db1\"",
        "/contacts/0 contact \"anna\"",
    ];
    assert_eq!(named, expected);
    let hook = check(
        r#"{"name":"a","then":{"webhook":{"url":{"secret":"chat"},"headers":{"X~A":{"secret":"token"},"X-B":"plain"}}}}"#,
    );
    let named: Vec<_> = hook.unwrap().references().into_iter().map(|(place, _)| place).collect();
    assert_eq!(named, ["/then/webhook/url", "/then/webhook/headers/X~0A"]);
}
