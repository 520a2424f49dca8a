//! An SSH server of our own that says whatever a test makes it say: the transport is right (RFC 4253: curve25519-sha256,
//! ssh-ed25519, aes256-gcm@openssh.com), so that what comes over it reaches the client; nothing above it is checked.

use std::future::Future;
use std::io::{Error, Result};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use alf::model::{HostKeyPolicy, Name, PublicKey, SecretText};
use alf::ssh::{Login, Target};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::agreement::{EphemeralPrivateKey, UnparsedPublicKey, X25519, agree_ephemeral};
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

pub(crate) use super::packet::Packet;

/// The seed of its host key.
const SEED: [u8; 32] = *b"nobody is to trust this host key";

/// What it calls itself, without the line's end.
pub(crate) const VERSION: &[u8] = b"SSH-2.0-hostile";

/// Bytes of one packet of a client that are taken.
const LONGEST: u32 = 1_000_000;

/// A running server, on a thread and a runtime of its own: what is left on the test's runtime is Alf's.
pub(crate) struct Hostile {
    address: SocketAddr,
    open: Arc<AtomicUsize>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Hostile {
    /// Does this with each connection, from the first byte on; when it is done, the connection is closed.
    pub(crate) fn tcp<Act, Done>(act: Act) -> Self
    where
        Act: Fn(TcpStream) -> Done + Send + 'static,
        Done: Future<Output = Result<()>> + Send + 'static,
    {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let open = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&open);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = TcpListener::from_std(listener).unwrap();
                let serve = async {
                    while let Ok((stream, _)) = listener.accept().await {
                        stream.set_nodelay(true).unwrap();
                        let count = Arc::clone(&count);
                        count.fetch_add(1, Ordering::SeqCst);
                        let act = act(stream);
                        tokio::spawn(async move {
                            // It fails when the client has gone, which is its right.
                            let _ = act.await;
                            count.fetch_sub(1, Ordering::SeqCst);
                        });
                    }
                };
                tokio::select! {
                    () = serve => {}
                    _ = stopped => {}
                }
            });
        });
        Self { address, open, stop: Some(stop), thread: Some(thread) }
    }

    /// Does this with each connection, from the end of the key exchange on.
    pub(crate) fn ssh<Act, Done>(act: Act) -> Self
    where
        Act: Fn(Peer) -> Done + Send + Sync + 'static,
        Done: Future<Output = Result<()>> + Send + 'static,
    {
        let act = Arc::new(act);
        Self::tcp(move |stream| {
            let act = Arc::clone(&act);
            async move { act(Peer::handshake(stream).await?).await }
        })
    }

    /// Does this with each connection, from the login on.
    pub(crate) fn logged_in<Act, Done>(act: Act) -> Self
    where
        Act: Fn(Peer) -> Done + Send + Sync + 'static,
        Done: Future<Output = Result<()>> + Send + 'static,
    {
        let act = Arc::new(act);
        Self::ssh(move |mut peer| {
            let act = Arc::clone(&act);
            async move {
                peer.log_in().await?;
                act(peer).await
            }
        })
    }

    /// Its address.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections it has.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    /// The host `mallory` at this server, its key recorded, with a password.
    pub(crate) fn target(&self) -> Target {
        Target {
            host: Name::parse("mallory").unwrap(),
            address: "127.0.0.1".to_owned(),
            port: self.address.port(),
            user: "root".to_owned(),
            login: Login::Password(SecretText::new("hunter2-secret".to_owned())),
            policy: HostKeyPolicy::Strict,
            keys: vec![PublicKey::from_blob(&host_key_blob(&host_key())).unwrap()],
            via: None,
            leads_on: false,
        }
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A client, seen from the server.
pub(crate) struct Peer {
    pub(crate) stream: TcpStream,
    sealing: Cipher,
    opening: Cipher,
    out: Vec<u8>,
}

struct Cipher {
    key: LessSafeKey,
    iv: [u8; 12],
}

impl Cipher {
    fn new(key: &[u8], iv: &[u8]) -> Self {
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).unwrap());
        Self { key, iv: iv[..12].try_into().unwrap() }
    }

    /// RFC 5647 section 7.1: the last eight bytes count the packets.
    fn nonce(&mut self) -> Nonce {
        let nonce = Nonce::assume_unique_for_key(self.iv);
        let count = u64::from_be_bytes(self.iv[4..].try_into().unwrap()).wrapping_add(1);
        self.iv[4..].copy_from_slice(&count.to_be_bytes());
        nonce
    }
}

impl Peer {
    /// Exchanges versions and keys.
    pub(crate) async fn handshake(mut stream: TcpStream) -> Result<Self> {
        stream.write_all(&[VERSION, b"\r\n"].concat()).await?;
        let client = read_line(&mut stream).await?;
        Self::exchange_keys(stream, &client).await
    }

    async fn exchange_keys(mut stream: TcpStream, client: &[u8]) -> Result<Self> {
        let ours = kexinit();
        stream.write_all(&clear(&ours)).await?;
        let theirs = read_clear(&mut stream).await?;
        let init = read_clear(&mut stream).await?;
        let their_point = init.get(5..).ok_or_else(|| Error::other("no key exchange"))?.to_vec();

        let random = SystemRandom::new();
        let secret = EphemeralPrivateKey::generate(&X25519, &random).unwrap();
        let our_point = secret.compute_public_key().unwrap();
        let shared = agree_ephemeral(secret, &UnparsedPublicKey::new(&X25519, &their_point), <[u8]>::to_vec)
            .map_err(|_| Error::other("no agreement"))?;
        let shared = Packet::bare().mpint(&shared).0;
        let key = host_key();
        let blob = host_key_blob(&key);
        let hashed = Packet::bare()
            .string(client)
            .string(VERSION)
            .string(&theirs)
            .string(&ours)
            .string(&blob)
            .string(&their_point)
            .string(our_point.as_ref());
        let hash = Sha256::digest([hashed.0, shared.clone()].concat()).to_vec();
        let signature = Packet::bare().string(b"ssh-ed25519").string(key.sign(&hash).as_ref()).0;
        let reply = Packet::new(31).string(&blob).string(our_point.as_ref()).string(&signature);
        stream.write_all(&[clear(&reply.0), clear(&[21])].concat()).await?;
        if read_clear(&mut stream).await? != [21] {
            return Err(Error::other("no new keys"));
        }
        let derive = |letter: u8| Sha256::digest([&shared[..], &hash, &[letter], &hash].concat());
        let opening = Cipher::new(&derive(b'C'), &derive(b'A'));
        let sealing = Cipher::new(&derive(b'D'), &derive(b'B'));
        Ok(Self { stream, sealing, opening, out: Vec::new() })
    }

    /// Puts a packet behind those that wait for [`Self::flush`].
    pub(crate) fn queue(&mut self, packet: &Packet) {
        let padding = 4 + (16 - (packet.0.len() + 5) % 16) % 16;
        let length = (1 + packet.0.len() + padding) as u32;
        let mut body = vec![padding as u8];
        body.extend_from_slice(&packet.0);
        body.resize(length as usize, 0);
        let nonce = self.sealing.nonce();
        let head = length.to_be_bytes();
        self.sealing.key.seal_in_place_append_tag(nonce, Aad::from(head), &mut body).unwrap();
        self.out.extend_from_slice(&head);
        self.out.append(&mut body);
    }

    /// Sends what waits.
    pub(crate) async fn flush(&mut self) -> Result<()> {
        let out = std::mem::take(&mut self.out);
        self.stream.write_all(&out).await
    }

    /// Sends a packet.
    pub(crate) async fn send(&mut self, packet: Packet) -> Result<()> {
        self.queue(&packet);
        self.flush().await
    }

    /// Sends packets in large pieces. What the client says meanwhile is heard, and lost.
    pub(crate) async fn flood(&mut self, times: usize, packet: impl Fn(usize) -> Packet) -> Result<()> {
        let mut lost = vec![0; 65_536];
        for nth in 0..times {
            self.queue(&packet(nth));
            if self.out.len() < 65_536 && nth + 1 < times {
                continue;
            }
            let out = std::mem::take(&mut self.out);
            let (mut reader, mut writer) = self.stream.split();
            let written = writer.write_all(&out);
            tokio::pin!(written);
            loop {
                tokio::select! {
                    done = &mut written => { done?; break }
                    heard = reader.read(&mut lost) => if heard? == 0 { return Ok(()) },
                }
            }
        }
        Ok(())
    }

    /// The next packet of the client.
    pub(crate) async fn receive(&mut self) -> Result<Vec<u8>> {
        let head = self.stream.read_u32().await?;
        if head > LONGEST {
            return Err(Error::other("too long"));
        }
        let mut body = vec![0; head as usize + 16];
        self.stream.read_exact(&mut body).await?;
        let nonce = self.opening.nonce();
        let open = self.opening.key.open_in_place(nonce, Aad::from(head.to_be_bytes()), &mut body);
        let open = open.map_err(|_| Error::other("not readable"))?;
        let padding = usize::from(open[0]);
        Ok(open[1..open.len() - padding].to_vec())
    }

    /// The next packet of this type; others are passed over.
    pub(crate) async fn wait_for(&mut self, kind: u8) -> Result<Vec<u8>> {
        loop {
            let packet = self.receive().await?;
            if packet.first() == Some(&kind) {
                return Ok(packet);
            }
        }
    }

    /// Answers the request for the login service, up to the first try to log in.
    pub(crate) async fn asked_to_log_in(&mut self) -> Result<()> {
        self.wait_for(5).await?;
        self.send(Packet::new(6).string(b"ssh-userauth")).await?;
        self.wait_for(50).await?;
        Ok(())
    }

    /// Lets the client in, whoever it is.
    pub(crate) async fn log_in(&mut self) -> Result<()> {
        self.asked_to_log_in().await?;
        self.send(Packet::new(52)).await
    }

    /// Takes the next session, with this window; the client's number of it.
    pub(crate) async fn session(&mut self, window: u32) -> Result<u32> {
        let asked = self.wait_for(90).await?;
        // The number stands behind the channel's type, a string.
        let length = u32::from_be_bytes(asked[1..5].try_into().unwrap()) as usize;
        let channel = u32::from_be_bytes(asked[5 + length..9 + length].try_into().unwrap());
        self.send(Packet::new(91).number(channel).number(channel).number(window).number(32_768)).await?;
        Ok(channel)
    }

    /// Takes the next session and is asked to run a command in it.
    pub(crate) async fn asked_to_run(&mut self) -> Result<u32> {
        let channel = self.session(2_000_000).await?;
        self.wait_for(98).await?;
        Ok(channel)
    }

    /// Takes the next session and says that its command runs.
    pub(crate) async fn runs(&mut self) -> Result<u32> {
        let channel = self.asked_to_run().await?;
        self.send(Packet::success(channel)).await?;
        Ok(channel)
    }

    /// Says nothing more, and listens until the client has gone.
    pub(crate) async fn silent(mut self) -> Result<()> {
        listen(&mut self.stream).await
    }
}

/// Reads until the other side has gone.
pub(crate) async fn listen(stream: &mut TcpStream) -> Result<()> {
    let mut buffer = [0; 65_536];
    while stream.read(&mut buffer).await? > 0 {}
    Ok(())
}

/// A line of the other side, without its end.
pub(crate) async fn read_line(stream: &mut TcpStream) -> Result<Vec<u8>> {
    let mut line = Vec::new();
    loop {
        match stream.read_u8().await? {
            b'\n' => return Ok(line),
            b'\r' => {}
            byte => line.push(byte),
        }
    }
}

/// A packet of the time before there are keys.
pub(crate) async fn read_clear(stream: &mut TcpStream) -> Result<Vec<u8>> {
    let length = stream.read_u32().await?;
    if length > LONGEST {
        return Err(Error::other("too long"));
    }
    let mut body = vec![0; length as usize];
    stream.read_exact(&mut body).await?;
    let padding = usize::from(body[0]);
    Ok(body[1..body.len() - padding].to_vec())
}

/// A packet for the time before there are keys.
pub(crate) fn clear(payload: &[u8]) -> Vec<u8> {
    let padding = 4 + (8 - (payload.len() + 9) % 8) % 8;
    let mut packet = ((1 + payload.len() + padding) as u32).to_be_bytes().to_vec();
    packet.push(padding as u8);
    packet.extend_from_slice(payload);
    packet.resize(packet.len() + padding, 0);
    packet
}

/// The algorithms it offers: just one of each kind.
pub(crate) fn kexinit() -> Vec<u8> {
    let gcm = b"aes256-gcm@openssh.com";
    let names: [&[u8]; 10] = [
        b"curve25519-sha256",
        b"ssh-ed25519",
        gcm,
        gcm,
        b"hmac-sha2-256",
        b"hmac-sha2-256",
        b"none",
        b"none",
        b"",
        b"",
    ];
    let mut packet = Packet::new(20).bytes(&[7; 16]);
    for name in names {
        packet = packet.string(name);
    }
    packet.bytes(&[0]).number(0).0
}

fn host_key() -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&SEED).unwrap()
}

fn host_key_blob(key: &Ed25519KeyPair) -> Vec<u8> {
    Packet::bare().string(b"ssh-ed25519").string(key.public_key().as_ref()).0
}

/// Waits until no task is left on the test's runtime, which is Alf's alone, and the server has no connection any more.
pub(crate) async fn nothing_left(hostile: &Hostile) {
    left(|| hostile.open()).await;
}

/// Waits until no task is left on the test's runtime: what a server that has stopped reading can be told.
pub(crate) async fn no_task_left() {
    left(|| 0).await;
}

async fn left(connections: impl Fn() -> usize) {
    let metrics = tokio::runtime::Handle::current().metrics();
    let gone = async {
        while metrics.num_alive_tasks() > 0 || connections() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    if tokio::time::timeout(Duration::from_secs(10), gone).await.is_err() {
        panic!("{} tasks and {} connections are left", metrics.num_alive_tasks(), connections());
    }
}
