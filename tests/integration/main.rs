//! Alf from outside: the real program, a real sshd, real files. One binary, a module per feature: linking is what costs.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test that cannot go on is to say so and fail; real processes take real time"
)]

mod support;

#[path = "../servers/mongodb.rs"]
mod mongo_server;

mod actions;
mod actions_away;
mod actions_classic;
mod actions_more;
mod actions_once;
mod actions_seen;
mod actions_told;
mod actions_webhook;
mod api;
mod api_by_example;
mod apply;
mod audit;
mod bad_input;
mod bombs;
mod canaries;
mod cli;
mod cli_apply;
mod cli_help;
mod cli_many;
mod cli_once;
mod cli_watch;
mod doctor;
mod events;
mod examples;
mod exec;
mod fleet;
mod host_keys;
mod hostile;
mod http;
mod life;
mod limits;
mod live_output;
mod metrics;
mod mongodb_store;
mod once;
mod openapi;
mod plugins;
mod programs;
mod rights;
mod rights_walk;
mod rotate;
mod runs;
mod secrets;
mod sinks_mail;
mod sinks_metrics;
mod sinks_tls;
mod ssh_certificate;
mod ssh_exec;
mod ssh_jump;
mod ssh_keys;
mod ssh_kill;
mod ssh_limits;
mod ssh_login;
mod ssh_password;
mod ssh_program;
mod ssh_room;
mod ssh_sudo;
mod standing;
mod store;
mod store_away;
mod store_mongodb;
mod tls;
