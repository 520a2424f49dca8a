//! What may be typed.

use clap::{CommandFactory as _, Parser as _};

use crate::cli::{Cli, Command};

fn code(arguments: &[&str]) -> i32 {
    match Cli::try_parse_from(["alf"].iter().chain(arguments)) {
        Ok(_) => 0,
        Err(error) => error.exit_code(),
    }
}

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn every_verb_has_a_help_with_an_example() {
    fn walk(command: &mut clap::Command, path: &str) {
        let path = format!("{path} {}", command.get_name());
        let help = command.render_long_help().to_string();
        if command.has_subcommands() {
            let verbs: Vec<_> = command.get_subcommands_mut().filter(|verb| verb.get_name() != "help").collect();
            verbs.into_iter().for_each(|verb| walk(verb, &path));
        } else {
            assert!(help.contains("Example") && help.contains("  alf "), "{path}:\n{help}");
        }
    }
    let mut alf = Cli::command();
    alf.build();
    walk(&mut alf, "");
}

#[test]
fn what_the_contract_names_is_understood() {
    for good in [
        &["serve", "--config", "a.toml", "--data-dir", "d", "--listen", "127.0.0.1:0", "--node", "n"][..],
        &["check-config", "--data-dir", "d"],
        &["host", "list"],
        &["apply", "-f", "a.yaml", "b", "-f", "-", "--dry-run", "--prune", "by=git"],
        &["diff", "-f", "a.yaml"],
        &["export", "-o", "xml"],
        &["host", "edit", "web1"],
        &["host-tasks", "edit", "t@h"],
        &["program", "edit", "p"],
        &["hosts", "list", "-l", "role=web,env!=dev", "-o", "wide", "--utc"],
        &["-o", "json", "tasks", "get", "t"],
        &["host-tasks", "get", "t@h"],
        &["task-schedule", "delete", "t@s", "--cascade"],
        &["credentials", "create", "-f", "-"],
        &["schedules", "list"],
        &["key", "create", "k", "--role", "viewer"],
        &["keys", "revoke", "k"],
        &["key", "create", "--name", "k", "--role", "operator", "--exec", "--selector", "role=web", "--expires", "90d"],
        &["key", "create", "--offline", "--role", "admin"],
        &["key", "create", "--offline", "--role", "admin", "--name", "k"],
        &[
            "host",
            "add",
            "me@web1:22",
            "--name",
            "w",
            "--label",
            "a=b",
            "--label",
            "c=d",
            "--credential",
            "c",
            "--no-ssh-config",
        ],
        &[
            "task",
            "add",
            "t",
            "--command",
            "-x",
            "--on",
            "h",
            "--cron",
            "@every 90s",
            "--timezone",
            "Europe/Madrid",
            "--timeout",
            "none",
        ],
        &["task", "add", "t", "--command", "c", "-l", "*", "--cron", "* * * * *"],
        &["run", "h", "t", "--timeout-wait", "10m"],
        &["run", "-l", "role=web", "t", "--no-wait"],
        &["status", "h", "t"],
        &["status", "-l", "a", "--state", "critical", "--outcome", "PROBLEM"],
        &["results", "--host", "h", "--reason", "timeout", "--since", "2h", "-f"],
        &["result", "019ab8c4-5d20-7000-8c3e-2b1f0a9d4e77", "--stdout"],
        &["runs"],
        &["cron", "explain", "@daily", "--count", "3"],
        &["stats"],
        &["health", "h"],
    ] {
        assert_eq!(code(good), 0, "{good:?}");
    }
}

#[test]
fn what_makes_no_sense_is_exit_2() {
    for bad in [
        &[][..],
        &["nonsense"],
        &["import"],
        &["host"],
        &["host", "list", "-l", ""],
        &["host", "get", "a b"],
        &["host", "get", "../keys"],
        &["host", "list", "-o", "csv"],
        &["task", "add", "t", "--command", "c", "--cron", "* * * * *"],
        &["task", "add", "t", "--command", "c", "--on", "h", "-l", "*", "--cron", "* * * * *"],
        &["task", "add", "t", "--command", "c", "--on", "h", "--cron", "61 * * * *"],
        &["task", "add", "t", "--command", "c", "--on", "h", "--cron", "@daily", "--timezone", "Madrid"],
        &["run", "a", "b", "c"],
        &["run", "a", "b", "--no-wait", "--timeout-wait", "1m"],
        &["result", "7"],
        &["cron", "explain", "5/15 * * * *"],
        &["cron", "explain", "* * * * *", "--count", "0"],
        &["key", "create", "k", "--role", "root"],
        &["key", "create", "--role", "admin"],
        &["key", "create", "k", "--name", "k", "--role", "admin"],
        &["key", "create", "k", "--role", "admin", "-l", ""],
        &["status", "--state", "bad"],
    ] {
        assert_eq!(code(bad), 2, "{bad:?}");
    }
}

#[test]
fn settings_of_the_service_come_out_as_typed() {
    let cli = Cli::parse_from(["alf", "--data-dir", "d", "serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(cli.options.data_dir.as_deref(), Some(std::path::Path::new("d")));
    let Command::Serve(args) = cli.command else { panic!("{:?}", cli.command) };
    assert_eq!((args.listen.as_deref(), args.config, args.node), (Some("127.0.0.1:0"), None, None));
}
