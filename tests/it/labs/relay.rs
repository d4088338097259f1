//! A TCP relay between narrows and a directory: the network's faults at will.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// What happens to what passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// Every piece comes so much later, in both directions.
    Late(Duration),
    /// Connections are taken, and nothing gets through in either direction.
    Hole,
    /// The directory's end is closed, and what narrows sends is swallowed.
    HalfClosed,
    /// Every connection is reset, open ones and new ones.
    Reset,
    /// Every connection ends after so many more bytes from the directory, in the middle of a message.
    CutAfter(usize),
    /// What the directory sends is another byte each time.
    Garbled,
}

/// A running relay. Ends with its value.
pub struct Relay {
    address: SocketAddr,
    fault: watch::Sender<Fault>,
    open: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Relay {
    /// In front of a port of 127.0.0.1.
    pub async fn start(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let fault = watch::Sender::new(Fault::None);
        let (open, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, SocketAddr::from((Ipv4Addr::LOCALHOST, port)), fault.clone(), Arc::clone(&open), Arc::clone(&most)));
        Self { address, fault, open, most, _tasks: tasks }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.address.port()
    }
    /// From now on.
    pub fn set(&self, fault: Fault) {
        self.fault.send_replace(fault);
    }
    /// Connections that are open now.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }
    /// The most that were open at a time.
    pub fn most(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }
}

async fn serve(listener: TcpListener, directory: SocketAddr, fault: watch::Sender<Fault>, open: Arc<AtomicUsize>, most: Arc<AtomicUsize>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        let (faults, open, most) = (fault.subscribe(), Arc::clone(&open), Arc::clone(&most));
        connections.spawn(async move {
            most.fetch_max(open.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            relay(client, directory, faults).await;
            open.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

async fn relay(client: TcpStream, directory: SocketAddr, mut faults: watch::Receiver<Fault>) {
    // A hole takes connections and goes no further with them, also when it closes again: whoever opened one gives it up.
    let now = *faults.borrow_and_update();
    let server = match now {
        Fault::Reset => return reset(client),
        Fault::Hole => {
            swallow(client).await;
            return;
        }
        Fault::None | Fault::Late(_) | Fault::HalfClosed | Fault::CutAfter(_) | Fault::Garbled => TcpStream::connect(directory).await,
    };
    let Ok(server) = server else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let mut resets = faults.clone();
    let down = async {
        down(from_server, to_client, faults.clone()).await;
        // It is over when narrows closes its end.
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = up(from_client, to_server, faults.clone()) => {}
        () = down => {}
        () = until(&mut resets, Fault::Reset) => {}
    }
}

/// Waits until this fault is on.
async fn until(faults: &mut watch::Receiver<Fault>, fault: Fault) {
    let _ = faults.wait_for(|now| *now == fault).await.is_ok();
}

/// What narrows sends.
async fn up(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, faults: watch::Receiver<Fault>) {
    let mut bytes = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        let fault = *faults.borrow();
        match fault {
            Fault::Hole | Fault::HalfClosed => continue,
            Fault::Late(time) => sleep(time).await,
            Fault::None | Fault::Reset | Fault::CutAfter(_) | Fault::Garbled => {}
        }
        if to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}

/// What the directory sends.
async fn down(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut faults: watch::Receiver<Fault>) {
    let mut bytes = vec![0; 16 * 1024];
    let mut passed = 0;
    loop {
        let count = tokio::select! {
            read = from.read(&mut bytes) => match read { Ok(count @ 1..) => count, Ok(_) | Err(_) => return },
            () = until(&mut faults, Fault::HalfClosed) => {
                let _ = to.shutdown().await;
                // The other half stays open until narrows closes it.
                std::future::pending::<()>().await;
                return;
            }
        };
        let fault = *faults.borrow();
        match fault {
            Fault::Hole => continue,
            Fault::Late(time) => sleep(time).await,
            Fault::Garbled => bytes[..count].iter_mut().for_each(|byte| *byte ^= 0x5a),
            Fault::CutAfter(most) if passed + count >= most => {
                let _ = to.write_all(&bytes[..most.saturating_sub(passed).min(count)]).await;
                return;
            }
            Fault::CutAfter(_) => passed += count,
            Fault::None | Fault::HalfClosed | Fault::Reset => {}
        }
        if to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}

async fn swallow(mut client: TcpStream) {
    let mut bytes = vec![0; 1024];
    while let Ok(1..) = client.read(&mut bytes).await {}
}

fn reset(client: TcpStream) {
    // With no time to linger a close is a reset.
    let _ = client.set_zero_linger();
    drop(client);
}
