//! Up to the end of the login.

use std::io::Result;
use std::time::Duration;

use alf::ssh::Limits;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::{leave, no_login, short, unreachable};
use crate::support::hostile::{
    Hostile, Packet, Peer, VERSION, clear, kexinit, listen, nothing_left, read_clear, read_line,
};
use crate::support::ssh::{connect_with, limits};

/// The steps up to the login, in their order.
#[derive(Debug, Clone, Copy)]
enum Step {
    Accept,
    Version,
    KeyExchangeBegun,
    KeysExchanged,
    LoginAsked,
}

const STEPS: [Step; 5] = [Step::Accept, Step::Version, Step::KeyExchangeBegun, Step::KeysExchanged, Step::LoginAsked];

/// What a server does at a step that it has come to.
#[derive(Debug, Clone, Copy)]
enum Deed {
    Close,
    Silence,
    Garbage,
    Drip,
    Length(u32),
    Disconnect,
}

/// A server that is as it should be up to this step.
fn at(step: Step, deed: Deed) -> Hostile {
    Hostile::tcp(move |mut stream| async move {
        if matches!(step, Step::KeysExchanged | Step::LoginAsked) {
            let mut peer = Peer::handshake(stream).await?;
            if matches!(step, Step::LoginAsked) {
                peer.asked_to_log_in().await?;
            }
            return match deed {
                Deed::Disconnect => {
                    peer.send(Packet::disconnect(&nasty())).await?;
                    peer.silent().await
                }
                Deed::Drip => loop {
                    peer.send(Packet::new(2).string(b"drip")).await?;
                    tokio::time::sleep(Duration::from_millis(20)).await;
                },
                other => raw(peer.stream, other).await,
            };
        }
        if !matches!(step, Step::Accept) {
            stream.write_all(&[VERSION, b"\r\n"].concat()).await?;
            read_line(&mut stream).await?;
        }
        if matches!(step, Step::KeyExchangeBegun) {
            stream.write_all(&clear(&kexinit())).await?;
            read_clear(&mut stream).await?;
        }
        match (deed, step) {
            (Deed::Drip, Step::Accept) => loop {
                stream.write_all(b"S").await?;
                tokio::time::sleep(Duration::from_millis(20)).await;
            },
            (Deed::Drip, _) => loop {
                stream.write_all(&clear(&Packet::new(2).string(b"drip").0)).await?;
                tokio::time::sleep(Duration::from_millis(20)).await;
            },
            (Deed::Disconnect, _) => {
                stream.write_all(&clear(&Packet::disconnect(&nasty()).0)).await?;
                listen(&mut stream).await
            }
            (other, _) => raw(stream, other).await,
        }
    })
}

async fn raw(mut stream: TcpStream, deed: Deed) -> Result<()> {
    match deed {
        Deed::Garbage => stream.write_all(&[0x5a; 70_000]).await?,
        Deed::Length(length) => {
            stream.write_all(&length.to_be_bytes()).await?;
            stream.write_all(&[0; 70_000]).await?;
        }
        Deed::Close => return Ok(()),
        Deed::Silence | Deed::Drip | Deed::Disconnect => {}
    }
    listen(&mut stream).await
}

/// Words that a terminal or a log would obey.
fn nasty() -> Vec<u8> {
    b"\x1b]0;owned\x07\x1b[2J\r\nERROR forged line\n\0".repeat(2000)
}

/// Tries each deed at each step.
async fn everywhere(deeds: &[Deed], limits: fn() -> Limits, words: &[&str]) {
    let tries = STEPS.iter().flat_map(|step| deeds.iter().map(move |deed| (*step, *deed)));
    for (step, deed) in tries {
        match step {
            Step::LoginAsked => no_login(at(step, deed), limits()).await,
            _ => unreachable(at(step, deed), limits(), words).await,
        }
    }
}

#[tokio::test]
async fn a_host_that_closes_at_any_step_is_unreachable() {
    everywhere(&[Deed::Close], limits, &["closed the connection"]).await;
}

#[tokio::test]
async fn a_host_that_never_answers_at_any_step_is_unreachable_in_time() {
    everywhere(&[Deed::Silence], short, &["no login came about", "fell silent"]).await;
}

#[tokio::test]
async fn a_host_that_keeps_us_waiting_drop_by_drop_is_given_up_in_time() {
    everywhere(&[Deed::Drip], short, &["no login came about", "does not speak SSH"]).await;
}

#[tokio::test]
async fn garbage_and_lengths_of_gigabytes_are_refused() {
    let lengths = [0, 1, 4, 300_000, 0x7fff_ffff, u32::MAX].map(Deed::Length);
    everywhere(&lengths, short, &["127.0.0.1"]).await;
    everywhere(&[Deed::Garbage], short, &["127.0.0.1"]).await;
}

#[tokio::test]
async fn a_goodbye_at_any_step_forges_no_line() {
    everywhere(&[Deed::Disconnect], short, &["127.0.0.1"]).await;
}

#[tokio::test]
async fn lines_before_the_version_end_some_time() {
    for line in [&b"welcome\r\n"[..], b"\n", b"SSH-2.0-no end of it "] {
        let hostile = Hostile::tcp(move |mut stream| async move {
            loop {
                stream.write_all(line).await?;
            }
        });
        unreachable(hostile, limits(), &["does not speak SSH 2"]).await;
    }
}

#[tokio::test]
async fn another_protocol_on_the_port_is_named_as_that() {
    let hostile = Hostile::tcp(|mut stream| async move {
        stream.write_all(b"SSH-1.5-old\r\n").await?;
        listen(&mut stream).await
    });
    unreachable(hostile, short(), &["127.0.0.1"]).await;
}

#[tokio::test]
async fn algorithms_with_names_for_a_terminal_forge_no_line() {
    let hostile = Hostile::tcp(|mut stream| async move {
        stream.write_all(&[VERSION, b"\r\n"].concat()).await?;
        read_line(&mut stream).await?;
        let mut packet = Packet::new(20).bytes(&[7; 16]);
        for _ in 0..10 {
            packet = packet.string(&b"\x1b[2J\nforged,".repeat(1500));
        }
        stream.write_all(&clear(&packet.bytes(&[0]).number(0).0)).await?;
        listen(&mut stream).await
    });
    unreachable(hostile, limits(), &["127.0.0.1"]).await;
}

#[tokio::test]
async fn a_banner_of_a_mebibyte_does_not_keep_us_out() {
    let hostile = Hostile::ssh(|mut peer| async move {
        peer.asked_to_log_in().await?;
        for _ in 0..8 {
            peer.send(Packet::new(53).string(&[b'x'; 131_072]).string(b"")).await?;
        }
        peer.send(Packet::new(52)).await?;
        peer.silent().await
    });
    let connected = connect_with(limits(), hostile.target()).await.unwrap();
    leave(&hostile, &*connected.session).await;
    drop(connected);
    nothing_left(&hostile).await;
}

#[tokio::test]
async fn banners_without_end_are_given_up_in_time() {
    let hostile = Hostile::ssh(|mut peer| async move {
        peer.asked_to_log_in().await?;
        loop {
            peer.send(Packet::new(53).string(&nasty()).string(b"")).await?;
        }
    });
    unreachable(hostile, short(), &["127.0.0.1"]).await;
}

/// A server that lets in nobody but by prompts, so many at once and that often.
fn prompting(rounds: usize, prompts: usize, text: &'static [u8]) -> Hostile {
    Hostile::ssh(move |mut peer| async move {
        peer.wait_for(5).await?;
        peer.send(Packet::new(6).string(b"ssh-userauth")).await?;
        loop {
            let asked = peer.wait_for(50).await?;
            if asked.windows(20).any(|window| window == b"keyboard-interactive") {
                break;
            }
            peer.send(Packet::new(51).string(b"keyboard-interactive").bytes(&[0])).await?;
        }
        for _ in 0..rounds {
            let mut packet = Packet::new(60).string(b"").string(b"").string(b"").number(prompts as u32);
            for _ in 0..prompts {
                packet = packet.string(text).bytes(&[0]);
            }
            peer.send(packet).await?;
            peer.wait_for(61).await?;
        }
        peer.send(Packet::new(51).string(b"keyboard-interactive").bytes(&[0])).await?;
        peer.silent().await
    })
}

#[tokio::test]
async fn ten_thousand_prompts_are_no_login() {
    no_login(prompting(1, 10_000, b"Password: "), limits()).await;
    no_login(prompting(1, 10_000, b"\x1b[2J\nToken: "), limits()).await;
}

#[tokio::test]
async fn prompts_without_end_are_given_up_in_time() {
    no_login(prompting(usize::MAX, 1, b"Password: "), short()).await;
    no_login(prompting(usize::MAX, 0, b""), short()).await;
}

#[tokio::test]
async fn a_second_word_that_we_are_in_changes_nothing() {
    let hostile = Hostile::logged_in(|mut peer| async move {
        for _ in 0..3 {
            peer.queue(&Packet::new(52));
        }
        peer.flush().await?;
        peer.silent().await
    });
    // In, or not at all; never a panic of the connection's task.
    if let Ok(connected) = connect_with(limits(), hostile.target()).await {
        leave(&hostile, &*connected.session).await;
    }
    nothing_left(&hostile).await;
}
