//! What follows from a failing task on a real host: a task that repairs it, with all that Nagios' own scripts read, and
//! e-mail to those who want to hear of it.

use serde_json::{Value, json};

use crate::support::checked::Checked;
use crate::support::mail::Mail;
use crate::support::receivers::{Smtp, SmtpServer};
use crate::support::service::until;
use crate::support::sshd::Sshd;
use crate::support::tls::Authority;

/// What a script wrote between two lines of its output.
fn part<'a>(output: &'a str, begin: &str, end: &str) -> &'a str {
    let (_, rest) = output.split_once(begin).unwrap_or_else(|| panic!("no {begin} in {output}"));
    rest.split_once(end).unwrap_or_else(|| panic!("no {end} in {output}")).0
}

/// A script as there are many for Nagios, and all that it could have read.
const NOTIFY: &str = r#"
printf "%b" "***** Nagios *****\n\nNotification Type: $NAGIOS_NOTIFICATIONTYPE\n\nService: $NAGIOS_SERVICEDESC\nHost: $NAGIOS_HOSTALIAS\nAddress: $NAGIOS_HOSTADDRESS\nState: $NAGIOS_SERVICESTATE\n\nInfo: $NAGIOS_SERVICEOUTPUT\n$NAGIOS_LONGSERVICEOUTPUT\n"
echo "--- environment"
env | grep -E '^(NAGIOS|ALF)_' | LC_ALL=C sort
echo "--- input"
cat
echo "--- end"
"#;

#[test]
fn a_hard_problem_fires_a_task_on_its_host_that_reads_what_nagios_scripts_read() {
    let checked = Checked::start(&[]);
    let service = &checked.service;
    service
        .send(
            "POST",
            "contacts",
            &json!({"name": "anna", "title": "Anna A.", "email": "anna@example.org", "phone": "+34 600",
        "addresses": {"pager": "4711"}}),
        )
        .expect(201);
    service.send("POST", "tasks", &json!({"name": "notify", "script": {"body": NOTIFY}})).expect(201);
    let action =
        json!({"name": "repair", "when": {"tasks": ["check"]}, "then": {"run": "notify"}, "contacts": ["anna"]});
    service.send("POST", "actions", &action).expect(201);

    checked.check(0, "OK - all is well");
    let failed = checked.check(2, "CRITICAL - $(id) `id` \"x\" 'y' | load=7.5;5;10;0 'a b'=3%\nsecond line\nthird");
    let fired = checked.fired(1).remove(0);
    assert_eq!(
        (&fired["trigger"], &fired["task"], &fired["host"]),
        (&json!("action"), &json!("notify"), &json!("web1"))
    );
    assert_eq!(fired["cause"], json!({"action": "repair", "result": failed["id"]}));
    assert_eq!((&fired["outcome"], &fired["by"]), (&json!("OK"), &Value::Null), "{fired}");
    let out = fired["stdout"].as_str().unwrap();
    let letter = "***** Nagios *****\n\nNotification Type: PROBLEM\n\nService: check\nHost: First web server\n\
        Address: 127.0.0.1\nState: CRITICAL\n\nInfo: CRITICAL - $(id) `id` \"x\" 'y'\nsecond line\nthird\n";
    assert!(out.starts_with(letter), "{out}");

    let environment = part(out, "--- environment\n", "--- input\n");
    for line in [
        "ALF_ACTION=repair",
        "ALF_CONTACT=anna",
        "ALF_EVENT_HOST=web1",
        "ALF_EVENT_TASK=check",
        "ALF_HOST=web1",
        "ALF_TASK=notify",
        "NAGIOS_CONTACTADDRESS1=4711",
        "NAGIOS_CONTACTALIAS=Anna A.",
        "NAGIOS_CONTACTEMAIL=anna@example.org",
        "NAGIOS_CONTACTNAME=anna",
        "NAGIOS_CONTACTPAGER=+34 600",
        "NAGIOS_HOSTNAME=web1",
        "NAGIOS_HOSTSTATE=UP",
        "NAGIOS_HOSTSTATEID=0",
        "NAGIOS_LONGSERVICEOUTPUT=second line\\nthird",
        "NAGIOS_NOTIFICATIONRECIPIENTS=anna",
        "NAGIOS_SERVICEATTEMPT=1",
        "NAGIOS_SERVICEDISPLAYNAME=The check",
        "NAGIOS_SERVICENOTIFICATIONNUMBER=1",
        "NAGIOS_SERVICEPERFDATA=load=7.5;5;10;0 'a b'=3%",
        "NAGIOS_SERVICESTATE=CRITICAL",
        "NAGIOS_SERVICESTATEID=2",
        "NAGIOS_SERVICESTATETYPE=HARD",
        "NAGIOS__CONTACTPAGER=4711",
        "NAGIOS__HOSTDATA_CENTER=north 1",
        "NAGIOS__HOSTROLE=web",
        "NAGIOS__SERVICETIER=1",
    ] {
        assert!(environment.lines().any(|has| has == line), "{line} is not in\n{environment}");
    }
    assert!(environment.contains(&format!("ALF_RESULT_ID={}\n", failed["id"].as_str().unwrap())), "{environment}");
    let input: Value = serde_json::from_str(part(out, "--- input\n", "--- end")).unwrap();
    for field in ["id", "host", "task", "state", "outcome", "reason", "message", "stdout", "perfdata", "exit_code"] {
        assert_eq!(input[field], failed[field], "{field}");
    }

    checked.check(0, "OK - all is well");
    let recovery = checked.fired(2).remove(0);
    let out = recovery["stdout"].as_str().unwrap();
    assert!(out.contains("Notification Type: RECOVERY\n") && out.contains("State: OK\n"), "{out}");
    assert!(out.contains("Info: OK - all is well\n"), "{out}");
}

#[test]
fn what_is_fired_runs_where_and_as_often_as_the_action_says() {
    let checked = Checked::start(&[]);
    let (service, other) = (&checked.service, Sshd::start());
    for name in ["db1", "db2"] {
        service.add_host_named(&other, name);
        service.send("PATCH", &format!("hosts/{name}"), &json!({"labels": {"role": "db"}})).expect(200);
    }
    for name in ["anna", "bo"] {
        service.send("POST", "contacts", &json!({"name": name})).expect(201);
    }
    let tell = json!({"name": "tell", "command": "echo $NAGIOS_HOSTNAME $NAGIOS_CONTACTNAME"});
    service.send("POST", "tasks", &tell).expect(201);
    let when = json!({"tasks": ["check"]});
    for action in [
        json!({"name": "each", "when": when, "then": {"run": "tell", "on": "db1"}, "contacts": ["anna", "bo"]}),
        json!({"name": "all", "when": when, "then": {"run": "tell", "on": {"selector": "role=db"}}}),
        json!({"name": "chain", "when": {"tasks": ["tell"], "on": "result"}, "then": {"run": "check"}}),
    ] {
        service.send("POST", "actions", &action).expect(201);
    }
    checked.check(2, "CRITICAL - bad");
    // Four of "tell", and of each follows one more check, which is no change of anything.
    let fired = checked.fired(8);
    let mut told: Vec<(String, String, String)> = fired
        .iter()
        .filter(|result| result["task"] == "tell")
        .map(|result| {
            let text = |value: &Value| value.as_str().unwrap().trim().to_owned();
            (text(&result["cause"]["action"]), text(&result["host"]), text(&result["stdout"]))
        })
        .collect();
    told.sort();
    let expected =
        [("all", "db1", "web1"), ("all", "db2", "web1"), ("each", "db1", "web1 anna"), ("each", "db1", "web1 bo")];
    assert_eq!(told, expected.map(|(action, host, out)| (action.to_owned(), host.to_owned(), out.to_owned())));
}

#[test]
fn mail_goes_to_who_wants_to_hear_of_it_and_its_end_to_who_heard_of_it() {
    let Some(server) = SmtpServer::start(Smtp::Plain, None) else { return };
    let checked = Checked::start(&server.settings());
    let service = &checked.service;
    let night = json!({"timezone": "UTC", "periods": [{"from": "00:00", "to": "24:00"}]});
    for contact in [
        json!({"name": "anna", "email": "anna@example.org"}),
        json!({"name": "night", "email": "night@example.org", "quiet_hours": night}),
        json!({"name": "warn", "email": "warn@example.org", "notify_on": ["WARNING"]}),
    ] {
        service.send("POST", "contacts", &contact).expect(201);
    }
    let action = json!({"name": "mail", "when": {"tasks": ["check"]}, "then": {"email": {}}, "contacts": ["anna", "night", "warn"]});
    service.send("POST", "actions", &action).expect(201);
    let mails = |count: usize| until("mail", || Some(server.mails()).filter(|mails| mails.len() >= count));

    let failed = checked.check(2, "CRITICAL - the disk is full\nnearly");
    let problem = mails(1).remove(0);
    assert_eq!(problem.to, ["anna@example.org"]);
    assert_eq!(problem.subject(), "PROBLEM web1/check is CRITICAL");
    for part in
        ["CRITICAL - the disk is full\n", "First web server (127.0.0.1)", "nearly", failed["id"].as_str().unwrap()]
    {
        assert!(problem.text.contains(part), "{part} is not in {}", problem.text);
    }
    let headers = ["X-Alf-Action", "X-Alf-Host", "X-Alf-Task", "X-Alf-State", "X-Alf-Type"];
    assert_eq!(headers.map(|name| problem.header(name).unwrap()), ["mail", "web1", "check", "CRITICAL", "PROBLEM"]);

    let held = &service.get("notifications?contact=night")["items"][0];
    assert_eq!((&held["outcome"], &held["reason"]), (&json!("held"), &json!("quiet_hours")), "{held}");
    assert_eq!(service.get("notifications?contact=warn")["total"], 0);

    checked.check(0, "OK - all is well");
    let recovery = mails(2).remove(1);
    assert_eq!(recovery.to, ["anna@example.org"], "nobody else was told");
    assert_eq!(recovery.subject(), "RECOVERY web1/check is OK");
    assert!(recovery.text.contains("OK - all is well"), "{}", recovery.text);
    assert_eq!(recovery.header("In-Reply-To"), problem.header("Message-ID"), "it belongs to that one");
    assert_eq!(recovery.header("References"), problem.header("Message-ID"));
    until("an end of what was held back", || {
        (service.get("notifications?contact=night&outcome=dropped")["total"] == 1).then_some(())
    });

    checked.check(1, "WARNING - it begins again");
    let warning = mails(4).split_off(2);
    let mut to: Vec<&String> = warning.iter().flat_map(|mail: &Mail| &mail.to).collect();
    to.sort();
    assert_eq!(to, ["anna@example.org", "warn@example.org"]);
    checked.check(0, "OK - all is well");
    let recovery = mails(6).split_off(4);
    let mut to: Vec<&String> = recovery.iter().flat_map(|mail: &Mail| &mail.to).collect();
    to.sort();
    assert_eq!(to, ["anna@example.org", "warn@example.org"], "also to who hears of no OK as such");
    assert_eq!(server.mails().len(), 6);
}

#[test]
fn nothing_that_a_task_writes_is_more_than_text_in_a_mail() {
    let Some(server) = SmtpServer::start(Smtp::Plain, None) else { return };
    let checked = Checked::start(&server.settings());
    let email = json!({
        "to": ["anna@example.org"], "subject": "{{ message }} {{ result.stdout }}", "body": "{{ message }}\n{{ result.stdout }}",
    });
    let action = json!({"name": "mail", "when": {"tasks": ["check"]}, "then": {"email": email}});
    checked.service.send("POST", "actions", &action).expect(201);
    checked.check(2, "CRITICAL - {{ host }} \u{1b}[31m\"\r\nBcc: eve@example.org\r\n\r\n.\r\nMAIL FROM:<eve@example.org>\r\n\u{2028}Cc: eve\n");
    let mail = until("a mail", || server.mails().pop());
    assert_eq!(mail.to, ["anna@example.org"]);
    let mut names = mail.names();
    names.retain(|name| !name.starts_with("X-Alf-") && !name.starts_with("Content-"));
    names.sort_unstable();
    assert_eq!(names, ["Auto-Submitted", "Date", "From", "MIME-Version", "Message-ID", "Subject", "To"], "{mail:?}");
    assert!(
        mail.text.contains("CRITICAL - {{ host }} [31m\"\nBcc: eve@example.org\n\n.\nMAIL FROM:<eve@example.org>\n"),
        "{mail:?}"
    );
    checked.check(0, "OK - and nothing is stuck");
    until("the end by e-mail", || (server.messages().len() == 2).then_some(()));
}

#[test]
fn mail_goes_encrypted_and_a_password_that_is_put_right_counts_at_once() {
    let authority = Authority::new();
    let (certificate, key) = (authority.certificate(), authority.key());
    let Some(server) = SmtpServer::start(Smtp::StartTls, Some([&certificate, &key])) else { return };
    let dir = tempfile::tempdir().unwrap();
    let password = dir.path().join("password");
    std::fs::write(&password, "wrong\n").unwrap();
    let mut settings = server.settings().to_vec();
    settings.extend([
        ("ALF_EMAIL__TLS", "required".to_owned()),
        ("ALF_EMAIL__USER", "alf".to_owned()),
        ("ALF_EMAIL__PASSWORD_FILE", password.display().to_string()),
        ("ALF_ACTIONS__CA_FILE", authority.ca().display().to_string()),
    ]);
    let checked = Checked::start(&settings);
    let email = json!({"to": ["Anna <anna@example.org>"], "from": "Ops <ops@example.org>"});
    let action = json!({"name": "mail", "when": {"tasks": ["check"]}, "then": {"email": email}});
    checked.service.send("POST", "actions", &action).expect(201);
    checked.check(2, "CRITICAL - bad");
    until("a login that is refused", || {
        let told = &checked.service.get("notifications?outcome=pending")["items"][0]["detail"];
        told.as_str().filter(|told| told.contains("535") && !told.contains("wrong")).map(drop)
    });
    std::fs::write(&password, "pass w0rd\nand a line that is not of it\n").unwrap();
    let message = until("a mail", || server.messages().pop());
    assert_eq!((&message["tls"], &message["authenticated"]), (&json!(true), &json!(true)));
    let mail = Mail::of(&message);
    assert_eq!(
        (mail.header("From"), mail.header("To")),
        (Some("Ops <ops@example.org>"), Some("Anna <anna@example.org>"))
    );
    until("its end", || (checked.service.get("notifications?outcome=sent")["total"] == 1).then_some(()));
}
