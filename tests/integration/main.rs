//! Alf from outside: the real program, a real sshd, real files. One binary, a module per feature: linking is what costs.

mod support;

mod api;
mod bad_input;
mod cli;
mod examples;
mod http;
mod life;
mod runs;
mod ssh_login;
mod ssh_room;
