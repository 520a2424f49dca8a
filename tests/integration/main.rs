//! Alf from outside: the real program, a real sshd, real files. One binary, a module per feature: linking is what costs.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test that cannot go on is to say so and fail; real processes take real time"
)]

mod support;

mod api;
mod bad_input;
mod cli;
mod examples;
mod exec;
mod http;
mod life;
mod live_output;
mod runs;
mod ssh_login;
mod ssh_room;
