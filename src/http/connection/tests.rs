use actix_web::web::Bytes;
use tokio::io::{DuplexStream, duplex};

use super::*;

fn limits() -> Limits {
    Limits {
        connections: 1,
        connections_per_address: 1,
        requests_in_flight: 1,
        event_streams: 1,
        header_timeout: Duration::from_secs(10),
        body_timeout: Duration::from_secs(60),
        write_timeout: Duration::from_secs(60),
        keep_alive: Duration::from_secs(75),
        header_limit: 1000,
        uri_limit: 1000,
        body_limit: 1000,
    }
}

/// A client, and its connection with room for so many bytes on the way.
fn pair(room: usize) -> (DuplexStream, Connection<DuplexStream>) {
    let (client, wire) = duplex(room);
    (client, Connection::new(wire, "192.0.2.1".to_owned(), false, &limits(), None))
}

#[tokio::test(start_paused = true)]
async fn the_head_of_a_further_request_must_come_in_time() {
    let (mut client, mut connection) = pair(1000);
    drop(connection.line().begin(false));
    let dripping = async {
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if client.write_all(b"G").await.is_err() {
                return;
            }
        }
    };
    let reading = async {
        let started = Instant::now();
        let mut byte = [0];
        while connection.read(&mut byte).await? > 0 {}
        Ok::<_, io::Error>(started)
    };
    tokio::select! {
        () = dripping => panic!("the connection ended without an error"),
        ended = async {
            let started = Instant::now();
            (reading.await, started.elapsed())
        } => {
            assert_eq!(ended.0.unwrap_err().kind(), io::ErrorKind::TimedOut);
            assert_eq!(ended.1.as_secs(), 11);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_being_answered_may_take_its_time() {
    let (mut client, mut connection) = pair(1000);
    let open = connection.line().begin(false);
    client.write_all(b"body").await.unwrap();
    let mut bytes = [0; 100];
    assert_eq!(connection.read(&mut bytes).await.unwrap(), 4);
    let waited = tokio::time::timeout(Duration::from_secs(3600), connection.read(&mut bytes)).await;
    assert!(waited.is_err(), "{waited:?}");
    drop(open);
}

#[tokio::test(start_paused = true)]
async fn who_does_not_take_its_answer_is_cut_off() {
    let (client, mut connection) = pair(1000);
    let _open = connection.line().begin(false);
    let started = Instant::now();
    let error = connection.write_all(&[b'x'; 5000]).await.unwrap_err();
    assert_eq!((error.kind(), started.elapsed().as_secs()), (io::ErrorKind::TimedOut, 60));
    drop(client);
}

#[tokio::test(start_paused = true)]
async fn drops_are_too_little_and_a_slow_line_is_enough() {
    for (each_second, expected) in [(100, Some(60)), (1000, None)] {
        let (mut client, mut connection) = pair(1000);
        let _open = connection.line().begin(false);
        let taking = async move {
            let mut bytes = vec![0; each_second];
            loop {
                tokio::time::sleep(Duration::from_secs(1)).await;
                if client.read_exact(&mut bytes).await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        let started = Instant::now();
        let ended = tokio::select! {
            () = taking => panic!("takes for ever"),
            written = connection.write_all(&[b'x'; 200_000]) => written.err().map(|_| started.elapsed().as_secs()),
        };
        assert_eq!(ended, expected, "{each_second} bytes a second");
    }
}

#[tokio::test(start_paused = true)]
async fn a_bare_refusal_becomes_a_problem_and_what_comes_later_is_left_alone() {
    let bare = Bytes::from_static(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\ndate: Thu, 01 Jan 1970\r\n\r\n");
    let (mut client, mut connection) = pair(4000);
    let told = tokio::spawn(async move {
        let mut told = String::new();
        client.read_to_string(&mut told).await.unwrap();
        told
    });
    connection.write_all(&bare).await.unwrap();
    let told = told.await.unwrap();
    let (head, body) = told.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 400 Bad Request\r\n") && head.contains("date: Thu, 01 Jan 1970\r\n"), "{head}");
    assert!(head.contains("x-request-id: ") && head.contains("application/problem+json"), "{head}");
    assert!(head.contains(&format!("content-length: {}", body.len())), "{head}");
    let problem: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(problem["status"], 400);

    // An answer of ours may hold anything, also something that looks like that.
    let (mut client, mut connection) = pair(4000);
    let _open = connection.line().begin(false);
    connection.write_all(&bare).await.unwrap();
    let mut same = vec![0; bare.len()];
    client.read_exact(&mut same).await.unwrap();
    assert_eq!(same, bare);
}
