//! `alf host add` and `alf task add`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use crate::cli::testing::{FakeServer, World, json, problem, route};

/// A home directory with a key, and a program that answers as `ssh -G` does.
struct Home {
    dir: tempfile::TempDir,
    ssh: PathBuf,
}

impl Home {
    fn new(configured: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join(".ssh")).unwrap();
        fs::write(dir.path().join(".ssh/ops"), "key").unwrap();
        let ssh = dir.path().join("ssh");
        let script = format!(
            "#!/bin/sh\ncase \" $* \" in *' -F none '*) printf 'user me\\nhostname web1\\nport 22\\nidentityfile ~/.ssh/id_rsa\\n';;\n\
             *) printf '{configured}';; esac\n"
        );
        fs::write(&ssh, script).unwrap();
        fs::set_permissions(&ssh, fs::Permissions::from_mode(0o700)).unwrap();
        Self { dir, ssh }
    }

    fn key(&self) -> String {
        self.dir.path().join(".ssh/ops").to_str().unwrap().to_owned()
    }
}

const CONFIGURED: &str =
    "user deploy\\nhostname 192.0.2.7\\nport 2222\\nproxyjump bastion\\nidentityfile ~/.ssh/ops\\n";

#[actix_rt::test]
async fn a_host_is_added_as_ssh_knows_it() {
    let home = Home::new(CONFIGURED);
    let server = FakeServer::start(vec![
        json("POST /api/v1/credentials", 201, r#"{"name":"ops"}"#),
        json("POST /api/v1/hosts", 201, r#"{"name":"web1"}"#),
    ]);
    let done = World::of(&server)
        .with_ssh(home.dir.path(), &home.ssh)
        .alf(&["host", "add", "web1", "--label", "role=web"])
        .await;
    assert_eq!(done.code, 0, "{done:?}");
    let asked = server.asked();
    assert_eq!(asked[2].body, format!(r#"{{"name":"ops","key_file":"{}"}}"#, home.key()));
    assert_eq!(
        asked[3].body,
        r#"{"name":"web1","address":"192.0.2.7","port":2222,"user":"deploy","credential":"ops","labels":{"role":"web"}}"#
    );
    for said in [
        "credential \"ops\" created",
        "host \"web1\" created: deploy@192.0.2.7 port 2222",
        "ProxyJump bastion",
        "alf task add",
    ] {
        assert!(done.stderr.contains(said), "{said}: {done:?}");
    }
}

#[actix_rt::test]
async fn what_is_typed_beats_what_is_configured_and_defaults_are_left_out() {
    let home = Home::new(CONFIGURED);
    let server = FakeServer::start(vec![json("POST /api/v1/hosts", 201, r#"{"name":"w"}"#)]);
    let arguments = ["host", "add", "root@web1:22", "--name", "w", "--credential", "c"];
    let done = World::of(&server).with_ssh(home.dir.path(), &home.ssh).alf(&arguments).await;
    assert_eq!(done.code, 0, "{done:?}");
    let added = server.asked().pop().unwrap().body;
    assert_eq!(added, r#"{"name":"w","address":"192.0.2.7","user":"root","credential":"c"}"#);

    for arguments in [&["host", "add", "web1", "--no-ssh-config"][..], &["host", "add", "web1"]] {
        let server = FakeServer::start(vec![json("POST /api/v1/hosts", 201, r#"{"name":"web1"}"#)]);
        let home = Home::new("user me\\nhostname web1\\nport 22\\nidentityfile ~/.ssh/id_rsa\\n");
        World::of(&server).with_ssh(home.dir.path(), &home.ssh).alf(arguments).await;
        assert_eq!(server.asked()[0].body, r#"{"name":"web1"}"#, "{arguments:?}");
    }
}

#[actix_rt::test]
async fn a_jump_host_is_taken_over_where_it_is_a_host_of_the_service() {
    let chain = |inner: &str| {
        vec![
            json("GET /api/v1/hosts/inner", 200, inner),
            json("GET /api/v1/hosts/outer", 200, r#"{"name":"outer"}"#),
            json("GET /api/v1/hosts/bastion", 200, r#"{"name":"bastion"}"#),
            json("POST /api/v1/hosts", 201, r#"{"name":"web1"}"#),
        ]
    };
    let through_outer = r#"{"name":"inner","jump":"outer"}"#;
    for (setting, inner, arguments, jump) in [
        ("bastion", "{}", &[][..], Some("bastion")),
        ("me@bastion:2222", "{}", &[], Some("bastion")),
        ("outer,inner", through_outer, &[], Some("inner")),
        ("outer,inner", r#"{"name":"inner"}"#, &[], None),
        ("bastion,inner", through_outer, &[], None),
        ("elsewhere", "{}", &[], None),
        ("bastion", "{}", &["--jump", "other"], Some("other")),
    ] {
        let home = Home::new(&format!("user me\\nhostname web1\\nport 22\\nproxyjump {setting}\\n"));
        let server = FakeServer::start(chain(inner));
        let all = [&["host", "add", "web1"], arguments].concat();
        let done = World::of(&server).with_ssh(home.dir.path(), &home.ssh).alf(&all).await;
        assert_eq!(done.code, 0, "{done:?}");
        let added = server.asked().pop().unwrap().body;
        match jump {
            Some(jump) => {
                assert_eq!(added, format!(r#"{{"name":"web1","jump":"{jump}"}}"#), "{setting}");
                assert!(done.stderr.contains(&format!("through {jump}\n")), "{done:?}");
            }
            None => {
                assert_eq!(added, r#"{"name":"web1"}"#, "{setting}");
                assert!(done.stderr.contains(&format!("ProxyJump {setting}, ")), "{done:?}");
            }
        }
    }
}

#[actix_rt::test]
async fn a_credential_with_the_same_key_is_used_again_and_another_is_not_touched() {
    let home = Home::new(CONFIGURED);
    let same = format!(r#"{{"name":"ops","key_file":"{}"}}"#, home.key());
    for (there, chosen, created) in
        [(same.as_str(), "ops", false), (r#"{"name":"ops","agent":true}"#, "web1-ops", true)]
    {
        let server = FakeServer::start(vec![
            json("GET /api/v1/credentials/ops", 200, there),
            json("POST /api/v1/credentials", 201, r#"{"name":"x"}"#),
            json("POST /api/v1/hosts", 201, r#"{"name":"web1"}"#),
        ]);
        let done = World::of(&server).with_ssh(home.dir.path(), &home.ssh).alf(&["host", "add", "web1"]).await;
        assert_eq!(done.code, 0, "{done:?}");
        assert_eq!(server.lines().contains(&"POST /api/v1/credentials".to_owned()), created);
        let host = server.asked().pop().unwrap().body;
        assert!(host.contains(&format!(r#""credential":"{chosen}""#)), "{host}");
    }
}

#[actix_rt::test]
async fn a_refused_host_leaves_no_credential_behind() {
    let home = Home::new(CONFIGURED);
    let server = FakeServer::start(vec![
        json("POST /api/v1/credentials", 201, r#"{"name":"ops"}"#),
        problem("POST /api/v1/hosts", 409, "host web1 is there already"),
        route("DELETE /api/v1/credentials/ops", 204, "", b""),
    ]);
    let done = World::of(&server).with_ssh(home.dir.path(), &home.ssh).alf(&["host", "add", "web1"]).await;
    assert_eq!(done.code, 1);
    assert_eq!(server.lines().last().unwrap(), "DELETE /api/v1/credentials/ops");
    assert!(done.stderr.ends_with("error: host web1 is there already\n"), "{done:?}");
}

#[actix_rt::test]
async fn hosts_that_are_none_are_refused_before_anything_is_asked() {
    let server = FakeServer::start(vec![]);
    for bad in [
        &["host", "add", "::1"][..],
        &["host", "add", "web1:0"],
        &["host", "add", "web1", "--label", "role"],
        &["host", "add", "web1", "--label", "a@b=c"],
    ] {
        let done = World::of(&server).alf(bad).await;
        assert_eq!(done.code, 2, "{done:?}");
    }
    assert!(server.lines().is_empty());
}

#[actix_rt::test]
async fn a_crontab_line_becomes_its_objects() {
    let server = FakeServer::start(vec![
        json("POST /api/v1/tasks", 201, r#"{"name":"load"}"#),
        json("POST /api/v1/host-tasks", 201, r#"{"name":"load@web1"}"#),
        json("POST /api/v1/task-schedules", 201, r#"{"name":"load@cron","timezone":"Europe/Madrid"}"#),
    ]);
    let arguments = [
        "task",
        "add",
        "load",
        "--command",
        "uptime",
        "--on",
        "web1",
        "--cron",
        "0 12 * * *",
        "--timeout",
        "90s",
        "--plugin",
        "nagios",
    ];
    let done = World::of(&server).alf(&arguments).await;
    assert_eq!(done.code, 0, "{done:?}");
    let bodies: Vec<_> = server.asked().into_iter().map(|asked| asked.body).collect();
    assert_eq!(
        bodies,
        [
            r#"{"name":"load","command":"uptime","timeout":"90s","plugin":"nagios"}"#,
            r#"{"task":"load","host":"web1"}"#,
            r#"{"name":"load@cron","task":"load","cron":"0 12 * * *"}"#,
        ]
    );
    assert!(
        done.stderr.contains("due at 12:00 every day (Europe/Madrid); next at 2026-11-23T12:00:00+01:00"),
        "{done:?}"
    );
    assert!(done.stderr.contains("alf run web1 load"), "{done:?}");
}

#[actix_rt::test]
async fn a_failed_step_undoes_those_before_it() {
    let server = FakeServer::start(vec![
        json("POST /api/v1/tasks", 201, r#"{"name":"load"}"#),
        json("POST /api/v1/host-tasks", 201, r#"{"name":"load@selector"}"#),
        problem("POST /api/v1/task-schedules", 409, "there is a load@cron"),
        route("DELETE /api/v1/host-tasks/load@selector", 204, "", b""),
        problem("DELETE /api/v1/tasks/load", 503, "store down"),
    ]);
    let done =
        World::of(&server).alf(&["task", "add", "load", "--command", "uptime", "-l", "*", "--cron", "@daily"]).await;
    assert_eq!(done.code, 1);
    assert_eq!(
        done.stderr,
        "host-task \"load@selector\" deleted again\n\
         task \"load\" could not be deleted again (store down); delete it with: alf task delete load\n\
         error: there is a load@cron\n"
    );
    assert_eq!(server.asked()[1].body, r#"{"name":"load@selector","task":"load","selector":"*"}"#);
}
