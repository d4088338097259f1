//! A tap on the way to a directory: it counts what passes by, and breaks the connections that stand.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// A running tap. Ends with its value, and its connections with it.
pub(crate) struct Tap {
    scheme: String,
    address: SocketAddr,
    conduct: watch::Sender<Conduct>,
    seen: Arc<Mutex<Seen>>,
    _tasks: JoinSet<()>,
}

/// What it does to the connections. Those with a smaller number than a mark are meant by it.
#[derive(Clone, Copy, Debug, Default)]
struct Conduct {
    delay: Duration,
    held: bool,
    forgotten: usize,
    half_closed: usize,
    reset: usize,
    cut: Option<usize>,
    garbled: bool,
}

/// What passed by.
#[derive(Debug, Default)]
struct Seen {
    connections: usize,
    open: usize,
    most: usize,
    bound: Vec<String>,
    searches: usize,
}

impl Tap {
    /// Starts one in front of a directory's URL, on a free port of 127.0.0.1.
    pub(crate) async fn start(url: &str) -> Self {
        let (scheme, host) = url.split_once("://").unwrap_or_else(|| panic!("{url} is no URL"));
        let port = if scheme == "ldaps" { 636 } else { 389 };
        let directory = if host.contains(':') { host.to_owned() } else { format!("{host}:{port}") };
        let directory: SocketAddr = directory.parse().unwrap_or_else(|error| panic!("{url}: {error}"));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (conduct, follow) = watch::channel(Conduct::default());
        let seen = Arc::new(Mutex::new(Seen::default()));
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, directory, follow, Arc::clone(&seen)));
        Self { scheme: scheme.to_owned(), address, conduct, seen, _tasks: tasks }
    }

    /// The directory's URL through the tap.
    pub(crate) fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }
    /// Where it listens on 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }
    /// How many connections there were so far.
    pub(crate) fn connections(&self) -> usize {
        self.seen.lock().unwrap().connections
    }
    /// How many there are now.
    pub(crate) fn open(&self) -> usize {
        self.seen.lock().unwrap().open
    }
    /// The most that there were at a time.
    pub(crate) fn most(&self) -> usize {
        self.seen.lock().unwrap().most
    }
    /// How many binds with this DN passed by; those under TLS are not seen.
    pub(crate) fn binds(&self, dn: &str) -> usize {
        self.seen.lock().unwrap().bound.iter().filter(|bound| *bound == dn).count()
    }
    /// How many searches passed by; those under TLS are not seen.
    pub(crate) fn searches(&self) -> usize {
        self.seen.lock().unwrap().searches
    }

    /// From now on bytes take this long, in each direction.
    pub(crate) fn delay(&self, by: Duration) {
        self.conduct.send_modify(|conduct| conduct.delay = by);
    }
    /// From now on nothing gets through, and nobody is told, as when a cable is pulled.
    pub(crate) fn hold(&self) {
        self.conduct.send_modify(|conduct| conduct.held = true);
    }
    /// What was held goes on, as TCP sends it again.
    pub(crate) fn release(&self) {
        self.conduct.send_modify(|conduct| conduct.held = false);
    }
    /// The connections so far are dead and nobody is told, as with a firewall that has forgotten them; new ones work.
    pub(crate) fn forget(&self) {
        let connections = self.connections();
        self.conduct.send_modify(|conduct| conduct.forgotten = connections);
    }
    /// The directory's side of the connections so far is closed; what narrows sends still goes through.
    pub(crate) fn half_close(&self) {
        let connections = self.connections();
        self.conduct.send_modify(|conduct| conduct.half_closed = connections);
    }
    /// The same for new connections too, until `mend`.
    pub(crate) fn half_close_all(&self) {
        self.conduct.send_modify(|conduct| conduct.half_closed = usize::MAX);
    }
    /// Connections are reset, also new ones, until `mend`.
    pub(crate) fn reset_all(&self) {
        self.conduct.send_modify(|conduct| conduct.reset = usize::MAX);
    }
    /// From now on every byte of the directory arrives as another one.
    pub(crate) fn garble(&self) {
        self.conduct.send_modify(|conduct| conduct.garbled = true);
    }
    /// From now on nothing is wrong with the way; what is broken stays broken.
    pub(crate) fn mend(&self) {
        self.conduct.send_replace(Conduct::default());
    }
    /// The connections so far are reset.
    pub(crate) fn reset(&self) {
        let connections = self.connections();
        self.conduct.send_modify(|conduct| conduct.reset = connections);
    }
    /// Each connection from now on is closed once this many bytes of the directory passed; `None`: no longer.
    pub(crate) fn cut_after(&self, bytes: Option<usize>) {
        self.conduct.send_modify(|conduct| conduct.cut = bytes);
    }
}

async fn accept(listener: TcpListener, directory: SocketAddr, conduct: watch::Receiver<Conduct>, seen: Arc<Mutex<Seen>>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let number = {
            let mut seen = seen.lock().unwrap();
            (seen.connections, seen.open) = (seen.connections + 1, seen.open + 1);
            seen.most = seen.most.max(seen.open);
            seen.connections - 1
        };
        let (conduct, seen) = (conduct.clone(), Arc::clone(&seen));
        connections.spawn(async move {
            // Where the directory cannot be reached the client is hung up on.
            if let Ok(server) = TcpStream::connect(directory).await {
                carry(number, client, server, conduct, &seen).await;
            }
            seen.lock().unwrap().open -= 1;
        });
    }
}

enum End {
    Closed,
    Forgotten,
    Reset,
}

async fn carry(number: usize, mut client: TcpStream, mut server: TcpStream, conduct: watch::Receiver<Conduct>, seen: &Mutex<Seen>) {
    for stream in [&client, &server] {
        stream.set_nodelay(true).unwrap();
    }
    let (mut forgets, mut resets, mut closes) = (conduct.clone(), conduct.clone(), conduct.clone());
    let (from_client, mut to_client) = client.split();
    let (from_server, to_server) = server.split();
    let mut requests = Requests::default();
    let cut = conduct.borrow().cut;
    let garbles = conduct.clone();
    let garble = |bytes: &mut [u8]| {
        if garbles.borrow().garbled {
            for byte in bytes {
                *byte ^= 0x5a;
            }
        }
    };
    let up = pump(from_client, to_server, conduct.clone(), None, |bytes| requests.read(bytes, seen));
    let down = async {
        tokio::select! {
            ended = pump(from_server, &mut to_client, conduct, cut, garble) => return ended,
            _ = closes.wait_for(|conduct| conduct.half_closed > number) => {}
        }
        to_client.shutdown().await
    };
    let end = tokio::select! {
        _ = async { tokio::try_join!(up, down) } => End::Closed,
        _ = forgets.wait_for(|conduct| conduct.forgotten > number) => End::Forgotten,
        _ = resets.wait_for(|conduct| conduct.reset > number) => End::Reset,
    };
    match end {
        End::Closed => {}
        // Until the test is over.
        End::Forgotten => std::future::pending().await,
        End::Reset => SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap(),
    }
}

/// Passes one direction on, in its order and after the delay; an error ends both directions.
async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    conduct: watch::Receiver<Conduct>,
    cut: Option<usize>,
    mut passing: impl FnMut(&mut [u8]),
) -> io::Result<()> {
    let (sender, mut receiver) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    let (mut reads, mut writes) = (conduct.clone(), conduct);
    let reading = async move {
        let mut buffer = vec![0; 16 * 1024];
        loop {
            let read = from.read(&mut buffer).await?;
            released(&mut reads).await?;
            passing(&mut buffer[..read]);
            let due = Instant::now() + reads.borrow().delay;
            if sender.send((due, buffer[..read].to_vec())).is_err() || read == 0 {
                return Ok(());
            }
        }
    };
    let writing = async move {
        let mut left = cut.unwrap_or(usize::MAX);
        while let Some((due, bytes)) = receiver.recv().await {
            tokio::time::sleep_until(due).await;
            released(&mut writes).await?;
            if bytes.is_empty() {
                break;
            }
            let passed = bytes.len().min(left);
            to.write_all(&bytes[..passed]).await?;
            left -= passed;
            if left == 0 {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
        }
        to.shutdown().await
    };
    tokio::try_join!(reading, writing).map(drop)
}

async fn released(conduct: &mut watch::Receiver<Conduct>) -> io::Result<()> {
    conduct.wait_for(|conduct| !conduct.held).await.map(drop).map_err(io::Error::other)
}

/// The requests of one connection, as far as they can be read: up to the first byte that is not LDAP, as TLS is not.
#[derive(Default)]
struct Requests {
    pending: Vec<u8>,
    opaque: bool,
}

impl Requests {
    fn read(&mut self, bytes: &[u8], seen: &Mutex<Seen>) {
        if self.opaque {
            return;
        }
        self.pending.extend(bytes);
        while let Some(&first) = self.pending.first() {
            if first != 0x30 {
                self.opaque = true;
                return;
            }
            let Some((message, rest)) = element(&self.pending) else { return };
            // After the message's number stands the operation.
            let operation = element(message).map_or(&[][..], |(_, operation)| operation);
            match (operation.first(), element(operation)) {
                (Some(0x60), Some((bind, _))) => {
                    let name = element(bind).and_then(|(_, name)| element(name)).map_or(&[][..], |(name, _)| name);
                    seen.lock().unwrap().bound.push(String::from_utf8_lossy(name).into_owned());
                }
                (Some(0x63), _) => seen.lock().unwrap().searches += 1,
                (_, _) => {}
            }
            self.pending = rest.to_vec();
        }
    }
}

/// The content of the first BER element and what follows it; `None` where it is not whole.
fn element(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&[_, length], rest) = bytes.split_first_chunk::<2>()?;
    let (length, rest) = if length < 0x80 {
        (usize::from(length), rest)
    } else {
        let (digits, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
        (digits.iter().fold(0, |sum: usize, digit| sum << 8 | usize::from(*digit)), rest)
    };
    rest.split_at_checked(length)
}
