//! Sessions of a host that has let us in.

use std::time::Duration;

use alf::ssh::{End, Ending, Exec, Limits};
use bytes::Bytes;
use tokio::time::Instant;

use super::{fit_for_a_message, leave, one_run, short};
use crate::support::hostile::{Hostile, Packet, kexinit, no_task_left, nothing_left};
use crate::support::ssh::{connect, connect_with, exec, limits, stdout};
use crate::support::sshd::Sshd;

/// A command that a healthy host would be done with at once.
fn soon(timeout: Duration) -> Exec {
    Exec { timeout: Some(timeout), kill_grace: Duration::from_millis(10), ..exec("true") }
}

/// How far a server goes before it closes the connection or falls silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Upto {
    Login,
    Session,
    Request,
    Accepted,
    Output,
    EndOfOutput,
}

const UPTO: [Upto; 6] = [Upto::Login, Upto::Session, Upto::Request, Upto::Accepted, Upto::Output, Upto::EndOfOutput];

fn going(upto: Upto, then_silent: bool) -> Hostile {
    Hostile::logged_in(move |mut peer| async move {
        if upto == Upto::Session {
            peer.session(1_000_000).await?;
        } else if upto == Upto::Login {
            peer.wait_for(90).await?;
        } else {
            let channel = peer.asked_to_run().await?;
            let all = [Packet::success(channel), Packet::data(channel, b"partial"), Packet::eof(channel)];
            let said = UPTO.iter().skip(3).take_while(|step| (**step as usize) <= upto as usize).count();
            for packet in all.into_iter().take(said) {
                peer.send(packet).await?;
            }
        }
        if then_silent { peer.silent().await } else { Ok(()) }
    })
}

#[tokio::test]
async fn a_connection_that_ends_at_any_step_is_lost_and_keeps_what_came() {
    for upto in UPTO {
        let hostile = going(upto, false);
        let ending = one_run(&hostile, limits(), soon(Duration::from_secs(30))).await;
        match &ending.end {
            End::ConnectionLost(detail) => fit_for_a_message(&hostile, detail),
            other => panic!("{upto:?}: {other:?}"),
        }
        let came = if matches!(upto, Upto::Output | Upto::EndOfOutput) { "partial" } else { "" };
        assert_eq!(stdout(&ending), came, "{upto:?}");
        // Without a request nothing can have started there.
        assert!(ending.started_at.is_none() || !matches!(upto, Upto::Login), "{upto:?}");
    }
}

#[tokio::test]
async fn a_host_that_falls_silent_at_any_step_is_given_up_in_time() {
    for upto in UPTO {
        let hostile = going(upto, true);
        let limits = Limits { connect: limits().connect, login: limits().login, ..short() };
        let ending = one_run(&hostile, limits, soon(Duration::from_millis(100))).await;
        match &ending.end {
            End::ConnectionLost(detail) | End::Setup(detail) => fit_for_a_message(&hostile, detail),
            End::TimedOut => assert_ne!(ending.kill.unwrap().gone, Some(true), "nothing was looked at"),
            other => panic!("{upto:?}: {other:?}"),
        }
    }
}

/// A server that answers every run with these packets for its session.
fn answering(packets: impl Fn(u32) -> Vec<Packet> + Send + Sync + Clone + 'static) -> Hostile {
    Hostile::logged_in(move |mut peer| {
        let packets = packets.clone();
        async move {
            loop {
                let channel = peer.asked_to_run().await?;
                for packet in packets(channel) {
                    peer.queue(&packet);
                }
                peer.flush().await?;
            }
        }
    })
}

async fn ends(packets: impl Fn(u32) -> Vec<Packet> + Send + Sync + Clone + 'static) -> Ending {
    let hostile = answering(packets);
    let connected = connect_with(limits(), hostile.target()).await.unwrap();
    let first = connected.session.exec(soon(Duration::from_secs(30))).await;
    // Whatever it was, the connection is as good as before.
    let second = connected.session.exec(soon(Duration::from_secs(30))).await;
    assert_eq!(format!("{:?}", first.end), format!("{:?}", second.end));
    assert_eq!(first.stdout, second.stdout);
    if let End::Refused(detail) | End::Setup(detail) | End::ConnectionLost(detail) = &first.end {
        fit_for_a_message(&hostile, detail);
    }
    leave(&hostile, &*connected.session).await;
    drop(connected);
    nothing_left(&hostile).await;
    first
}

#[tokio::test]
async fn an_exit_status_counts_wherever_it_stands() {
    let (success, data, eof, close) = (Packet::success, |it| Packet::data(it, b"out"), Packet::eof, Packet::close);
    let status = |it| Packet::exit_status(it, 3);
    for order in [0, 1, 2, 3] {
        let ending = ends(move |it| {
            let mut packets = vec![success(it), data(it), eof(it)];
            packets.insert(order, status(it));
            packets.push(close(it));
            packets
        })
        .await;
        assert_eq!(ending.end, End::Exited(3), "at {order}");
        assert_eq!(stdout(&ending), "out", "at {order}");
    }
    // Without a word that it was accepted, and twice.
    assert_eq!(ends(move |it| vec![data(it), status(it), close(it)]).await.end, End::Exited(3));
    assert_eq!(ends(move |it| vec![success(it), status(it), status(it), close(it)]).await.end, End::Exited(3));
}

#[tokio::test]
async fn a_session_without_an_exit_status_is_no_success() {
    for eof in [true, false] {
        let ending = ends(move |it| {
            let mut packets = vec![Packet::success(it), Packet::data(it, b"out")];
            packets.extend(eof.then(|| Packet::eof(it)));
            packets.push(Packet::close(it));
            packets
        })
        .await;
        assert!(
            matches!(&ending.end, End::ConnectionLost(detail) if detail.contains("exit status")),
            "{:?}",
            ending.end
        );
        assert!(ending.started_at.is_some(), "it may have run");
    }
}

#[tokio::test]
async fn accepting_twice_is_accepting() {
    let ending = ends(|it| {
        let done = [Packet::exit_status(it, 0), Packet::close(it)];
        [Packet::success(it), Packet::success(it)].into_iter().chain(done).collect()
    })
    .await;
    assert_eq!(ending.end, End::Exited(0));
}

#[tokio::test]
async fn a_refused_command_never_started() {
    let ending = ends(|it| vec![Packet::failure(it), Packet::close(it)]).await;
    assert!(matches!(&ending.end, End::Refused(detail) if detail.contains("refused to run")), "{:?}", ending.end);
    assert_eq!(ending.started_at, None);
}

#[tokio::test]
async fn data_after_its_end_harms_nobody() {
    let ending = ends(|it| {
        let late = || Packet::data(it, b"late");
        let status = Packet::exit_status(it, 0);
        vec![Packet::success(it), Packet::eof(it), late(), status, Packet::close(it), late(), Packet::close(it), late()]
    })
    .await;
    assert_eq!(ending.end, End::Exited(0));
}

#[tokio::test]
async fn packets_for_sessions_that_do_not_exist_harm_nobody() {
    let ending = ends(|it| {
        let other = it + 77;
        let refusal = Packet::new(92).number(other).number(1).string(b"\x1b[2J\nno").string(b"");
        let mut packets: Vec<Packet> =
            [Packet::success, Packet::failure, Packet::eof, Packet::close, |it| Packet::exit_status(it, 9)]
                .map(|packet| packet(other))
                .into();
        packets.extend([refusal, Packet::data(other, b"x"), Packet::new(93).number(other).number(u32::MAX)]);
        packets.extend([Packet::success(it), Packet::new(93).number(it).number(u32::MAX)]);
        packets.extend([Packet::new(93).number(it).number(u32::MAX), Packet::exit_status(it, 0), Packet::close(it)]);
        packets
    })
    .await;
    assert_eq!(ending.end, End::Exited(0));
}

#[tokio::test]
async fn a_signal_with_a_name_for_a_terminal_is_shown_plainly() {
    let ending = ends(|it| {
        let request = Packet::new(98).number(it).string(b"exit-signal").bytes(&[0]);
        let signal = request.string(b"\x1b[2J\nTERM").bytes(&[0]).string(&[b'\n'; 10_000]).string(b"");
        vec![Packet::success(it), signal, Packet::close(it)]
    })
    .await;
    match ending.end {
        End::Signaled(name) => assert!(name.len() <= 20 && name.chars().all(|c| c.is_ascii_alphanumeric()), "{name:?}"),
        other => panic!("{other:?}"),
    }
}

/// A server that refuses every session with this code.
fn refusing(code: u32) -> Hostile {
    Hostile::logged_in(move |mut peer| async move {
        loop {
            let asked = peer.wait_for(90).await?;
            let channel = u32::from_be_bytes(asked[12..16].try_into().unwrap());
            let words = b"\x1b[2J\nERROR forged ".repeat(1000);
            peer.send(Packet::new(92).number(channel).number(code).string(&words).string(b"")).await?;
        }
    })
}

#[tokio::test]
async fn a_refused_session_is_refused_or_asked_for_again() {
    for code in [1, 3, 0, 5, u32::MAX] {
        let hostile = refusing(code);
        let ending = one_run(&hostile, limits(), soon(Duration::from_secs(30))).await;
        match &ending.end {
            End::Refused(detail) => fit_for_a_message(&hostile, detail),
            other => panic!("code {code}: {other:?}"),
        }
        assert_eq!(ending.started_at, None);
    }
    // No place for now (sshd says 2, others 4): asked for again until nobody wants it any more.
    for code in [2, 4] {
        let hostile = refusing(code);
        let connected = connect_with(limits(), hostile.target()).await.unwrap();
        let exec = soon(Duration::from_secs(30));
        let (cancel, session) = (exec.cancel.clone(), connected.session.clone());
        let asked_again = async {
            while session.refused() < 3 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            cancel.cancel();
        };
        let (ending, ()) = tokio::join!(connected.session.exec(exec), asked_again);
        assert_eq!((ending.end, ending.started_at), (End::Cancelled, None), "code {code}");
        leave(&hostile, &*connected.session).await;
        drop((connected, session));
        nothing_left(&hostile).await;
    }
}

#[tokio::test]
async fn a_host_that_takes_no_input_is_given_up_in_time() {
    let hostile = Hostile::logged_in(|mut peer| async move {
        loop {
            let channel = peer.session(0).await?;
            peer.wait_for(98).await?;
            peer.send(Packet::success(channel)).await?;
        }
    });
    let patience = Limits { login: Duration::from_millis(500), connect: limits().connect, ..limits() };
    let stdin = Some(Bytes::from(vec![b'x'; 5_000_000]));
    let ending = one_run(&hostile, patience, Exec { stdin, ..soon(Duration::from_secs(1)) }).await;
    match &ending.end {
        End::Setup(detail) => fit_for_a_message(&hostile, detail),
        other => panic!("{other:?}"),
    }
    assert_eq!(ending.started_at, None, "it was never told to go");
}

#[tokio::test]
async fn a_host_that_stops_reading_leaves_no_task_of_ours() {
    let hostile = Hostile::logged_in(|mut peer| async move {
        let channel = peer.session(u32::MAX).await?;
        peer.wait_for(98).await?;
        peer.send(Packet::success(channel)).await?;
        // The header is taken, and what comes after it is not.
        let header = peer.wait_for(94).await?;
        peer.send(Packet::data(channel, &ready_line(&header))).await?;
        std::future::pending().await
    });
    let limits = Limits { connect: limits().connect, login: limits().login, ..short() };
    let connected = connect_with(limits, hostile.target()).await.unwrap();
    let stdin = Some(Bytes::from(vec![b'x'; 50_000_000]));
    let ending = connected.session.exec(Exec { stdin, ..soon(Duration::from_millis(300)) }).await;
    assert!(matches!(ending.end, End::ConnectionLost(_) | End::TimedOut | End::Setup(_)), "{:?}", ending.end);
    leave(&hostile, &*connected.session).await;
    drop(connected);
    no_task_left().await;
}

/// What the header's own text would say: the two words behind `printf '%s%s %s\n'`, put together, and a process.
fn ready_line(header: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(header);
    let words = text.split("printf '%s%s %s\\n' ").nth(1).unwrap_or_default();
    let mut words = words.split_whitespace();
    format!("{}{} 42\n", words.next().unwrap_or_default(), words.next().unwrap_or_default()).into_bytes()
}

#[tokio::test]
async fn a_key_exchange_that_never_ends_leaves_no_task_of_ours() {
    let hostile = Hostile::logged_in(|mut peer| async move {
        peer.runs().await?;
        peer.send(Packet(kexinit())).await?;
        loop {
            peer.send(Packet::new(2).string(b"drip")).await?;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let limits = Limits { connect: limits().connect, login: limits().login, ..short() };
    let ending = one_run(&hostile, limits, soon(Duration::from_millis(300))).await;
    assert!(matches!(ending.end, End::ConnectionLost(_) | End::TimedOut), "{:?}", ending.end);
}

#[tokio::test]
async fn a_command_that_does_not_read_its_input_is_killed_and_stops_no_other() {
    let sshd = Sshd::start();
    let connected = connect(&sshd).await;
    let stdin = Some(Bytes::from(vec![b'x'; 8_000_000]));
    let timeout = Some(Duration::from_secs(2));
    let deaf = Exec { stdin, timeout, ..exec("sleep 60") };
    let others = async {
        for _ in 0..5 {
            assert_eq!(connected.session.exec(exec("true")).await.end, End::Exited(0));
        }
        Instant::now()
    };
    let deaf = async { (connected.session.exec(deaf).await, Instant::now()) };
    let ((ending, ended), others) = tokio::join!(deaf, others);
    assert_eq!(ending.end, End::TimedOut);
    assert_eq!(ending.kill.unwrap().gone, Some(true));
    assert!(others < ended, "the others waited for it");
}
