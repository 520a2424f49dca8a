use super::*;
use crate::sinks::destination::tests::Names;
use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::LocalSet;

/// What a receiver got.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    first_line: String,
    headers: String,
    body: Vec<u8>,
}

impl Seen {
    fn header(&self, name: &str) -> Option<&str> {
        let is = |line: &&str| line.split(':').next().is_some_and(|has| has.eq_ignore_ascii_case(name));
        Some(self.headers.lines().find(is)?.split_once(':')?.1.trim())
    }
}

/// A receiver.
struct Receiver {
    address: SocketAddr,
    seen: Rc<RefCell<Vec<Seen>>>,
}

impl Receiver {
    /// On `ip`, answering by the path; without an answer it hangs.
    async fn start(ip: &str, answer: impl Fn(&str) -> Option<Vec<u8>> + 'static) -> Self {
        let listener = TcpListener::bind((ip, 0)).await.unwrap();
        let receiver = Self { address: listener.local_addr().unwrap(), seen: Rc::default() };
        let seen = Rc::clone(&receiver.seen);
        tokio::task::spawn_local(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut got = Vec::new();
                let request = loop {
                    let mut piece = [0; 4096];
                    let read = stream.read(&mut piece).await.unwrap_or_default();
                    got.extend_from_slice(&piece[..read]);
                    match request(&got) {
                        Some(request) => break request,
                        None if read == 0 => {
                            break Seen { first_line: String::new(), headers: String::new(), body: got };
                        }
                        None => {}
                    }
                };
                let path = request.first_line.split(' ').nth(1).unwrap_or_default().to_owned();
                seen.borrow_mut().push(request);
                match answer(&path) {
                    Some(answer) => drop(stream.write_all(&answer).await),
                    None => std::future::pending().await,
                }
            }
        });
        receiver
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.borrow().clone()
    }
}

/// A whole request, if it is there.
fn request(got: &[u8]) -> Option<Seen> {
    let end = got.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8(got[..end].to_vec()).unwrap();
    let (first_line, headers) = head.split_once("\r\n").unwrap();
    let mut seen = Seen { first_line: first_line.to_owned(), headers: headers.to_owned(), body: Vec::new() };
    let length = seen.header("content-length").map_or(0, |length| length.parse().unwrap());
    seen.body = got.get(end + 4..end + 4 + length)?.to_vec();
    Some(seen)
}

fn answer(status: &str, headers: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n{headers}\r\n{body}", body.len()).into_bytes()
}

fn redirect(status: u16, to: &str) -> Vec<u8> {
    answer(&format!("{status} Elsewhere"), &format!("location: {to}\r\n"), "")
}

/// May go to 127.0.0.1 alone.
fn webhooks() -> Webhooks {
    let destinations = Destinations::new(vec!["127.0.0.1/32".parse().unwrap()]);
    let at = chrono::DateTime::from_timestamp(1_795_564_800, 0).unwrap();
    Webhooks::new(Trust::load(None).unwrap(), destinations, Clock::starting_at(at))
}

fn named(answers: &[&[&str]]) -> (Webhooks, Names) {
    let mut webhooks = webhooks();
    let names = Names::new(answers);
    webhooks.destinations.names = Some(names.clone());
    (webhooks, names)
}

fn text(text: &str) -> SecretText {
    SecretText::new(text.to_owned())
}

fn message(url: &str) -> WebhookRequest {
    WebhookRequest {
        fields: vec![("type", "PROBLEM".to_owned())],
        id: "0193-7".to_owned(),
        method: Method::Post,
        url: text(url),
        headers: vec![("Authorization".to_owned(), text("Bearer t0ken")), ("X-Team".to_owned(), text("ops"))],
        body: br#"{"a": 1}"#.to_vec(),
        secret: Some(text("s3cret")),
        timeout: Duration::from_secs(60),
        allow_private: false,
    }
}

#[actix_rt::test]
async fn a_message_arrives_as_it_was_made_and_signed() {
    let receiver = Receiver::start("127.0.0.1", |_| Some(answer("202 Accepted", "", "thanks\nvery much"))).await;
    let delivered = webhooks().deliver(&message(&receiver.url("/hook?x=1"))).await.unwrap();
    assert_eq!(delivered, Delivered { status: 202, answer: "thanks very much".to_owned() });
    let [seen] = &receiver.seen()[..] else { panic!("{:?}", receiver.seen()) };
    assert_eq!((seen.first_line.as_str(), seen.body.as_slice()), ("POST /hook?x=1 HTTP/1.1", &br#"{"a": 1}"#[..]));
    let host = receiver.address.to_string();
    for (name, value) in [
        ("host", host.as_str()),
        ("authorization", "Bearer t0ken"),
        ("x-team", "ops"),
        ("x-alf-type", "PROBLEM"),
        ("content-type", "application/json"),
        ("x-alf-delivery", "0193-7"),
        ("x-alf-timestamp", "1795564800"),
        // printf '1795564800.{"a": 1}' | openssl dgst -sha256 -hmac s3cret
        ("x-alf-signature", "sha256=5fce3835e2e4647948dbf48c31ed5e90e2829e6b03a480d6da5aaf68831980f4"),
    ] {
        assert_eq!(seen.header(name), Some(value), "{name}");
    }

    let bytes: Vec<u8> = (0..=255).collect();
    let xml = WebhookRequest {
        method: Method::Put,
        headers: vec![("Content-Type".to_owned(), text("application/xml"))],
        body: bytes.clone(),
        secret: None,
        ..message(&receiver.url("/"))
    };
    webhooks().deliver(&xml).await.unwrap();
    let seen = receiver.seen().pop().unwrap();
    assert_eq!((seen.first_line.as_str(), &seen.body), ("PUT / HTTP/1.1", &bytes));
    assert_eq!((seen.header("content-type"), seen.header("x-alf-signature")), (Some("application/xml"), None));
}

#[actix_rt::test]
async fn what_may_go_well_later_is_told_from_what_will_not() {
    let receiver = Receiver::start("127.0.0.1", |path| {
        let pause = if path == "/429" { "retry-after: 120\r\n" } else { "" };
        Some(answer(&format!("{} Status", &path[1..]), pause, "because"))
    })
    .await;
    for (status, retry) in
        [(400, false), (401, false), (404, false), (410, false), (408, true), (429, true), (500, true), (503, true)]
    {
        let error = webhooks().deliver(&message(&receiver.url(&format!("/{status}")))).await.unwrap_err();
        assert_eq!(error.retry, retry, "{error:?}");
        assert!(error.message.contains(&status.to_string()) && error.message.ends_with(": because"), "{error}");
        assert_eq!(error.after, (status == 429).then_some(Duration::from_secs(120)));
    }
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = webhooks().deliver(&message(&format!("http://{free}/s3cret-path?key=s3cret"))).await.unwrap_err();
    assert!(error.retry && error.message.contains("no connection"), "{error:?}");
    assert!(!error.message.contains("s3cret"), "{error}");
}

#[actix_rt::test]
async fn redirects_are_followed_and_only_at_home_is_anything_shown() {
    let away = Receiver::start("127.0.0.1", |_| Some(answer("200 OK", "", ""))).await;
    let there = away.url("/there");
    let receiver = Receiver::start("127.0.0.1", move |path| match path {
        "/twice" => Some(redirect(308, "twice/again?x")),
        "/twice/again?x" => Some(answer("200 OK", "", "at last")),
        "/see" => Some(redirect(303, "/seen")),
        "/seen" => Some(answer("200 OK", "", "")),
        "/away" => Some(redirect(302, &there)),
        "/nowhere" => Some(answer("302 Found", "", "")),
        "/odd" => Some(redirect(302, "gopher://127.0.0.1/")),
        _ => Some(redirect(307, path)),
    })
    .await;
    let deliver = async |path: &str| webhooks().deliver(&message(&receiver.url(path))).await;
    assert_eq!(deliver("/twice").await.unwrap().answer, "at last");
    let seen = receiver.seen();
    assert_eq!(seen[1].first_line, "POST /twice/again?x HTTP/1.1");
    assert_eq!((seen[1].header("authorization"), &seen[1].body), (seen[0].header("authorization"), &seen[0].body));

    deliver("/see").await.unwrap();
    let seen = receiver.seen().pop().unwrap();
    assert_eq!((seen.first_line.as_str(), seen.body.len()), ("GET /seen HTTP/1.1", 0));

    deliver("/away").await.unwrap();
    let seen = away.seen().pop().unwrap();
    assert_eq!((seen.first_line.as_str(), seen.body.as_slice()), ("POST /there HTTP/1.1", &br#"{"a": 1}"#[..]));
    assert_eq!(seen.header("content-type"), Some("application/json"));
    for hidden in ["authorization", "x-team", "x-alf-signature", "x-alf-timestamp"] {
        assert_eq!(seen.header(hidden), None, "{hidden}");
    }

    let before = receiver.seen().len();
    assert!(!deliver("/round").await.unwrap_err().retry);
    assert_eq!(receiver.seen().len() - before, MOST_REDIRECTS + 1);
    for path in ["/nowhere", "/odd"] {
        assert!(!deliver(path).await.unwrap_err().retry, "{path}");
    }
    let https = Url::parse("https://hook.example/a").unwrap();
    let step = Step { url: https, method: h::Method::POST, body: Bytes::new(), is_at_home: true };
    let location = Some("http://hook.example/a".to_owned());
    let down = Answer { status: 307, location, retry_after: None, text: String::new() };
    assert!(step.next(&down).err().unwrap().message.contains("from https to http"));
}

#[actix_rt::test]
async fn nothing_reaches_an_address_that_is_not_allowed() {
    let canary = Receiver::start("127.0.0.2", |_| Some(answer("200 OK", "", ""))).await;
    let inside = canary.url("/");
    let port = canary.address.port();
    let receiver = Receiver::start("127.0.0.1", move |path| {
        let host = path.trim_start_matches('/');
        Some(redirect(307, &if host.is_empty() { inside.clone() } else { format!("http://{host}:{port}/") }))
    })
    .await;
    for host in ["", "127.0.0.2", "0x7f.2", "2130706434", "[::ffff:127.0.0.2]", "127.0.2", "017700000002"] {
        let error = webhooks().deliver(&message(&receiver.url(&format!("/{host}")))).await.unwrap_err();
        assert!(!error.retry && error.message.contains("no public address"), "{host}: {error:?}");
        let direct = webhooks()
            .deliver(&message(&canary.url("/").replace("127.0.0.2", if host.is_empty() { "127.0.0.2" } else { host })))
            .await;
        assert!(!direct.unwrap_err().retry);
    }
    assert_eq!(receiver.seen().len(), 7);

    // A name that is given another address after it was checked.
    let (webhooks, names) = named(&[&["127.0.0.1"], &["127.0.0.2"]]);
    let url = format!("http://rebinds.example:{}/", receiver.address.port());
    let error = webhooks.deliver(&message(&url)).await.unwrap_err();
    assert!(error.message.contains("no public address"), "it was sent on to the canary: {error}");
    assert_eq!((receiver.seen().len(), names.asked()), (8, 1), "the name was looked up once");
    assert_eq!(canary.seen(), []);

    // Nothing is refused to a message that may go anywhere.
    let anywhere = WebhookRequest { allow_private: true, ..message(&receiver.url("/")) };
    webhooks.deliver(&anywhere).await.unwrap();
    assert_eq!(canary.seen().len(), 1);
}

#[actix_rt::test]
async fn of_several_addresses_one_that_answers_is_enough() {
    let receiver = Receiver::start("127.0.0.1", |_| Some(answer("200 OK", "", ""))).await;
    let (mut webhooks, _) = named(&[&["127.0.0.3", "127.0.0.1"]]);
    webhooks.destinations = Destinations::new(vec!["127.0.0.0/8".parse().unwrap()]);
    webhooks.destinations.names = Some(Names::new(&[&["127.0.0.3", "127.0.0.1"]]));
    let url = format!("http://hook.example:{}/", receiver.address.port());
    webhooks.deliver(&message(&url)).await.unwrap();
    assert_eq!(receiver.seen()[0].header("host"), Some(url.trim_start_matches("http://").trim_end_matches('/')));
}

#[actix_rt::test]
async fn of_a_long_answer_little_is_read() {
    let receiver = Receiver::start("127.0.0.1", |_| Some(answer("200 OK", "", &"x".repeat(4 << 20)))).await;
    let delivered = webhooks().deliver(&message(&receiver.url("/"))).await.unwrap();
    assert!(delivered.answer.len() < 1000, "{}", delivered.answer.len());
}

#[test]
fn a_receiver_that_hangs_holds_nothing_up_for_long() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let receiver = Receiver::start("127.0.0.1", |_| None).await;
        let error = webhooks().deliver(&message(&receiver.url("/"))).await.unwrap_err();
        assert!(error.retry, "{error:?}");
    });
}

#[actix_rt::test]
async fn what_is_no_request_is_refused() {
    let header = |name: &str, value: &str| {
        let headers = vec![(name.to_owned(), text(value))];
        WebhookRequest { headers, ..message("http://127.0.0.1:9/") }
    };
    let cases = [
        message("127.0.0.1/"),
        message("file:///etc/passwd"),
        message("http://user:pass@127.0.0.1/"),
        header("Host", "other"),
        header("X-Alf-Signature", "sha256=0"),
        header("Transfer-Encoding", "chunked"),
        header("X-A", "b\r\nX-C: d"),
        header("X A", "b"),
    ];
    for request in cases {
        let error = webhooks().deliver(&request).await.unwrap_err();
        assert!(!error.retry && !error.message.contains("pass@") && !error.message.contains('\n'), "{error:?}");
    }
}
