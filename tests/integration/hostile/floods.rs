//! Too much of everything. Each flood has a process of its own, so that its memory is seen.

use std::time::Duration;

use alf::ssh::{End, Ending, Exec};

use super::{SLACK, leave};
use crate::support::alone::{alone, memory_kib};
use crate::support::hostile::{Hostile, Packet, nothing_left};
use crate::support::ssh::{connect, connect_with, exec, limits, stdout};
use crate::support::sshd::Sshd;

/// What a flood may cost of memory, in KiB.
const MOST: u64 = 32 * 1024;

/// Answers one run with a flood, and then says that it is over: it is heard to its end.
fn survives(times: usize, packet: impl Fn(u32, usize) -> Packet + Send + Sync + Copy + 'static) {
    if alone() {
        flooded(times, packet, |end| *end == End::Exited(0));
    }
}

/// Answers one run with a flood; meanwhile another host, a real sshd, is served.
fn flooded(times: usize, packet: impl Fn(u32, usize) -> Packet + Send + Sync + Copy + 'static, well: fn(&End) -> bool) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let hostile = Hostile::logged_in(move |mut peer| async move {
            let channel = peer.runs().await?;
            peer.flood(times, |nth| packet(channel, nth)).await?;
            peer.queue(&Packet::exit_status(channel, 0));
            peer.queue(&Packet::close(channel));
            peer.flush().await?;
            peer.silent().await
        });
        let sshd = Sshd::start();
        let neighbour = connect(&sshd).await;
        answered(&neighbour.session.exec(exec("echo untouched")).await);
        let connected = connect_with(limits(), hostile.target()).await.unwrap();
        let before = memory_kib("VmRSS");
        // On a busy machine it takes its time.
        let run = connected.session.exec(Exec { timeout: Some(Duration::from_secs(300)), ..exec("true") });
        let flooded = async {
            let end = run.await.end;
            assert!(well(&end), "{end:?}");
        };
        let mut flooded = Box::pin(flooded);
        let mut over = false;
        while !over {
            let run = neighbour.session.exec(exec("echo untouched"));
            let served = async { answered(&tokio::time::timeout(SLACK, run).await.unwrap()) };
            tokio::pin!(served);
            tokio::select! {
                () = &mut flooded => { over = true; served.await }
                () = &mut served => {}
            }
        }
        let grown = memory_kib("VmHWM").saturating_sub(before);
        assert!(grown < MOST, "{grown} KiB more memory");
        leave(&hostile, &*connected.session).await;
        neighbour.session.close().await;
        drop((connected, neighbour));
        nothing_left(&hostile).await;
    });
}

fn answered(ending: &Ending) {
    assert_eq!(ending.end, End::Exited(0), "the other host is to be untouched");
    assert_eq!(stdout(ending), "untouched\n");
}

#[test]
fn output_beyond_every_window() {
    survives(2000, |channel, _| Packet::data(channel, &[b'x'; 32_768]));
}

#[test]
fn a_flood_on_standard_error() {
    survives(2000, |channel, _| Packet::extended(channel, 1, &[b'x'; 32_768]));
}

#[test]
fn a_hundred_thousand_pieces_of_streams_that_do_not_exist() {
    survives(100_000, |channel, nth| Packet::extended(channel, 2 + nth as u32 * 40_000, b"x"));
}

#[test]
fn a_hundred_thousand_pieces_of_one_byte_and_of_none() {
    survives(100_000, |channel, nth| Packet::data(channel, &b"x"[..nth % 2]));
}

#[test]
fn sessions_that_the_host_wants_to_open() {
    const KINDS: [&[u8]; 4] = [b"session", b"auth-agent@openssh.com", b"\x1b[2Jnone\n", b"tun@openssh.com"];
    survives(30_000, |_, nth| {
        Packet::new(90).string(KINDS[nth % 4]).number(nth as u32).number(u32::MAX).number(u32::MAX)
    });
}

#[test]
fn requests_to_everybody() {
    const KINDS: [&[u8]; 3] = [b"keepalive@openssh.com", b"\x1b[2Jnone\n", b"hostkeys-00@openssh.com"];
    survives(30_000, |_, nth| Packet::new(80).string(KINDS[nth % 3]).bytes(&[1]));
}

#[test]
fn requests_to_a_session() {
    survives(30_000, |channel, _| Packet::new(98).number(channel).string(b"\x1b[2Jnone\n").bytes(&[1]));
}

#[test]
fn windows_that_grow() {
    survives(30_000, |channel, nth| Packet::new(93).number(channel).number(nth as u32 * 40_000));
}

#[test]
fn confirmations_that_nobody_asked_for() {
    survives(100_000, |channel, _| Packet::success(channel));
}

#[test]
fn refusals_that_nobody_asked_for() {
    if alone() {
        let refusal = |_, nth| Packet::new(92).number(1_000_000 + nth as u32).number(1).string(b"").string(b"");
        // russh keeps each of them: a host that goes too far is left.
        flooded(100_000, refusal, |end| matches!(end, End::Exited(0) | End::ConnectionLost(_)));
    }
}

#[test]
fn packets_to_be_ignored() {
    const PACKETS: [u8; 2] = [2, 4];
    survives(30_000, |_, nth| match PACKETS[nth % 2] {
        4 => Packet::new(4).bytes(&[1]).string(b"\x1b[2J\nforged").string(b""),
        kind => Packet::new(kind).string(&[b'x'; 100]),
    });
}
