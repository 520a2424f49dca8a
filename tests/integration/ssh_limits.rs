//! A peer that stops answering at any point is given up in time, and nothing of it stays behind.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use alf::model::PublicKey;
use alf::ssh::{Limits, Login, Target};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout};

use crate::support::ssh::{connect_with, in_own_process, limits, target_from_env, unreachable};
use crate::support::sshd::Sshd;

/// Long enough for anything that works.
const LONG: Duration = Duration::from_secs(30);

/// Between a client and a server: passes on what the server says up to so many bytes, and then nothing any more.
async fn stops_after(server: u16, most: usize) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let passed = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&passed);
    tokio::spawn(async move {
        let (client, _) = listener.accept().await.unwrap();
        // Kept open for the look whether the host answers at all.
        let _listener = listener;
        let server = TcpStream::connect((Ipv4Addr::LOCALHOST, server)).await.unwrap();
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_server, mut to_server) = server.into_split();
        let there = async {
            let _ = tokio::io::copy(&mut from_client, &mut to_server).await;
        };
        let back = async {
            let mut buffer = [0; 4096];
            loop {
                let left = most - count.load(Ordering::Relaxed);
                if left == 0 {
                    return std::future::pending::<()>().await;
                }
                let size = left.min(buffer.len());
                let Ok(read @ 1..) = from_server.read(&mut buffer[..size]).await else { return };
                count.fetch_add(read, Ordering::Relaxed);
                if to_client.write_all(&buffer[..read]).await.is_err() {
                    return;
                }
            }
        };
        tokio::select! {
            () = there => {}
            () = back => {}
        }
    });
    (port, passed)
}

fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fn tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

#[test]
fn nothing_stays_behind_wherever_a_peer_stops() {
    let sshd = Sshd::start();
    std::fs::copy(sshd.dir().join("host_key.pub"), sshd.dir().join("client_key.host")).unwrap();
    in_own_process("ssh_limits::gives_up_wherever_a_peer_stops", &sshd, &[]);
}

#[tokio::test]
#[ignore = "run by another test, in an environment of its own"]
async fn gives_up_wherever_a_peer_stops() {
    let key = std::path::PathBuf::from(std::env::var("ALF_TEST_KEY").unwrap());
    let host_key: PublicKey = std::fs::read_to_string(key.with_extension("host")).unwrap().parse().unwrap();
    let login = Login::KeyFile { path: key, passphrase: None };
    let target = Target { keys: vec![host_key], ..target_from_env(login) };
    let server = target.port;
    let short = Limits {
        connect: Duration::from_millis(200),
        login: Duration::from_millis(400),
        keepalive_interval: Duration::from_millis(500),
        keepalive_max: 1,
        ..limits()
    };
    // How much the server says until the login is done.
    let (port, passed) = stops_after(server, usize::MAX).await;
    let connected = connect_with(limits(), Target { port, ..target.clone() }).await.unwrap();
    let whole = passed.load(Ordering::Relaxed);
    connected.session.close().await;
    drop(connected);

    let settled = async |files: usize, alive: usize| {
        let begun = Instant::now();
        while open_files() > files || tasks() > alive {
            assert!(begun.elapsed() < LONG, "{} files and {} tasks too many", open_files() - files, tasks() - alive);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    // The test's own: the program's output and what tokio waits with.
    timeout(LONG, async {
        while tasks() > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .unwrap();
    let (files, alive) = (open_files(), tasks());
    for (leads_on, step) in [(true, 1), (false, 3)] {
        for part in (0..10).step_by(step) {
            let (port, passed) = stops_after(server, whole * part / 10).await;
            let begun = Instant::now();
            let stopped = connect_with(short.clone(), Target { port, leads_on, ..target.clone() }).await;
            let took = begun.elapsed();
            let detail = unreachable(stopped);
            let at =
                format!("after {} of {whole} bytes, leads on {leads_on}: {detail}", passed.load(Ordering::Relaxed));
            assert!(detail.contains("no login came about"), "{at}");
            assert!(took < Duration::from_secs(3), "{took:?} {at}");
            // By russh it is gone at once; by async-ssh2-tokio when its own time for silence is over.
            settled(files, alive).await;
            if leads_on {
                assert!(begun.elapsed() < Duration::from_millis(1200), "{at}");
            }
        }
    }
}
