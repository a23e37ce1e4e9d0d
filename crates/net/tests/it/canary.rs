//! What every fetcher is held against: URLs that nobody may fetch, and a canary that counts who
//! comes. Other crates' tests take this file as it is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

const URLS: &str = include_str!("ssrf.txt");

/// Listens on one port of every address of the machine.
pub(crate) struct Canary {
    pub(crate) port: u16,
    seen: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Canary {
    pub(crate) async fn listen() -> Canary {
        let both = TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0)).await;
        let listener = match both {
            Ok(listener) => listener,
            Err(_) => TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).await.unwrap(),
        };
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            while listener.accept().await.is_ok() {
                count.fetch_add(1, Ordering::SeqCst);
            }
        });
        Canary { port, seen, task }
    }

    /// How many came. A connection of one's own goes first, so that all before it are counted.
    pub(crate) async fn visits(&self) -> usize {
        let before = self.seen.load(Ordering::SeqCst);
        let own = tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await.unwrap();
        while self.seen.load(Ordering::SeqCst) == before {
            tokio::task::yield_now().await;
        }
        drop(own);
        self.seen.fetch_sub(1, Ordering::SeqCst) - 1
    }
}

impl Drop for Canary {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Every URL, with the canary's port and the machine's own addresses.
pub(crate) fn urls(port: u16) -> Vec<String> {
    let mut all: Vec<String> = sections().map(|(_, url)| url).collect();
    all.extend(own_addresses().into_iter().map(|own| format!("http://{}/", at(own, "{port}"))));
    all.iter().map(|url| url.replace("{port}", &port.to_string())).collect()
}

/// Those that reach the canary if nobody minds.
pub(crate) fn reaching(port: u16) -> Vec<String> {
    let loopback = sections().filter(|(section, _)| section.starts_with("loopback"));
    loopback.map(|(_, url)| url.replace("{port}", &port.to_string())).collect()
}

fn sections() -> impl Iterator<Item = (&'static str, String)> {
    let mut section = "";
    URLS.lines().filter_map(move |line| {
        if let Some(title) = line.strip_prefix("# ") {
            section = title;
        }
        let url = !line.is_empty() && !line.starts_with("# ");
        url.then(|| (section, unescaped(line)))
    })
}

fn unescaped(line: &str) -> String {
    let Some(line) = line.strip_prefix("esc ") else { return line.to_owned() };
    line.replace("\\t", "\t").replace("\\r", "\r").replace("\\n", "\n").replace("\\0", "\0")
}

/// By which the machine would leave; nothing is sent to find out.
fn own_addresses() -> Vec<IpAddr> {
    let towards = [IpAddr::from(Ipv4Addr::new(192, 0, 2, 1)), "2001:db8::1".parse().unwrap()];
    let own = |to: IpAddr| {
        let any: IpAddr = match to {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = UdpSocket::bind((any, 0)).ok()?;
        socket.connect((to, 9)).ok()?;
        socket.local_addr().ok().map(|own: SocketAddr| own.ip())
    };
    towards.into_iter().filter_map(own).collect()
}

fn at(address: IpAddr, port: &str) -> String {
    match address {
        IpAddr::V4(address) => format!("{address}:{port}"),
        IpAddr::V6(address) => format!("[{address}]:{port}"),
    }
}
