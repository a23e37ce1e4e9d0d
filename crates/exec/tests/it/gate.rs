//! What a jailed function reaches of the network, from inside: by name, by address, and not at all.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::sync::Arc;

use exec::{Config, Invoked, Isolation, Names};
use net::egress::{Looking, Resolve};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::{Bench, invocation, log_of};

/// Every name is this machine, so that names in tests need no network.
struct Here;

impl Resolve for Here {
    fn resolve<'a>(&'a self, _: &'a str) -> Looking<'a> {
        Box::pin(async { Ok(vec![Ipv4Addr::LOCALHOST.into()]) })
    }
}

fn jailed(hosts: &[String], change: impl FnOnce(&mut Config)) -> Bench {
    Bench::new(|config| {
        config.isolation = Isolation::Jail;
        config.names = Some(Names(Arc::new(Here)));
        let entries = hosts.iter().map(|entry| entry.parse().unwrap()).collect();
        config.hosts.insert("probe".to_owned(), entries);
        change(config);
    })
}

/// Sends back all that it got, once the other end has no more.
async fn echo() -> u16 {
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut seen = Vec::new();
                if socket.read_to_end(&mut seen).await.is_ok() {
                    // Who leaves before the answer is over wants none.
                    let _ = socket.write_all(&seen).await;
                }
            });
        }
    });
    port
}

/// Connects to each of the event's hosts, says something, and tells what came back or why nothing
/// did.
const TALK: &str = "
import socket
def talk(host, port, size):
    try:
        with socket.create_connection((host, port), timeout=10) as s:
            said = bytes(i % 251 for i in range(size))
            s.sendall(said)
            s.shutdown(socket.SHUT_WR)
            heard = b''
            while chunk := s.recv(1 << 16): heard += chunk
            return 'echo' if heard == said else f'{len(heard)} bytes'
    except OSError as e:
        return type(e).__name__ + ': ' + (e.strerror or str(e))
def handler(event, context):
    return {f'{h}:{p}': talk(h, p, event.get('size', 5)) for h, p in event['hosts']}
";

async fn talk(bench: &Bench, hosts: Value, size: usize) -> (Value, Invoked) {
    let function = bench.function(TALK).await;
    let invoked = bench.call(&function, json!({"hosts": hosts, "size": size})).await.unwrap();
    let payload: Value = serde_json::from_slice(&invoked.payload).unwrap();
    (payload, invoked)
}

/// The address by which the machine would leave, if it has one; nothing is sent to find out.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    socket.local_addr().ok().map(|own| own.ip())
}

#[tokio::test]
async fn a_function_reaches_the_hosts_that_are_named_by_name_and_by_address() {
    let port = echo().await;
    let mut hosts =
        ["shop.internal", "desk.internal", "localhost", "127.0.0.2"].map(str::to_owned).to_vec();
    hosts.extend(own_address().map(|own| own.to_string()));
    let entries: Vec<String> = hosts.iter().map(|host| format!("{host}:{port}")).collect();
    let bench = jailed(&entries, |_| {});
    let asked: Vec<Value> = hosts.iter().map(|host| json!([host, port])).collect();
    // More than any buffer on the way holds, and half-closed at its end.
    let (heard, invoked) = talk(&bench, asked.into(), 3_000_000).await;
    let expected = entries.iter().map(|entry| (entry.clone(), json!("echo"))).collect();
    assert_eq!(heard, Value::Object(expected), "{}", log_of(&invoked));
}

#[tokio::test]
async fn what_is_not_named_is_not_there_and_the_log_says_what_to_do() {
    let port = echo().await;
    let bench =
        jailed(&[format!("shop.internal:{port}"), format!("*.shop.example:{port}")], |_| {});
    let hosts = json!([
        ["shop.internal", port],
        ["evil.example", port],
        ["shop.internal", 1],
        ["10.0.0.1", port],
        ["93.184.216.34", 443],
        ["169.254.169.254", 80],
        ["127.0.0.1", port],
        // Below a domain that is allowed, but not where the operator's own network may be meant.
        ["a.shop.example", port],
        ["shop.example", port],
    ]);
    let (heard, invoked) = talk(&bench, hosts, 5).await;
    let heard = serde_json::to_string_pretty(&heard).unwrap().replace(&port.to_string(), "PORT");
    expect_test::expect![[r#"
        {
          "10.0.0.1:PORT": "OSError: Network is unreachable",
          "127.0.0.1:PORT": "ConnectionResetError: Connection reset by peer",
          "169.254.169.254:80": "OSError: Network is unreachable",
          "93.184.216.34:443": "OSError: Network is unreachable",
          "a.shop.example:PORT": "ConnectionResetError: Connection reset by peer",
          "evil.example:PORT": "gaierror: Name or service not known",
          "shop.example:PORT": "gaierror: Name or service not known",
          "shop.internal:1": "ConnectionRefusedError: Connection refused",
          "shop.internal:PORT": "echo"
        }"#]]
    .assert_eq(&heard);
    let log = log_of(&invoked).replace(&port.to_string(), "PORT");
    let warnings: Vec<&str> = log.lines().filter(|line| line.contains("craton:")).collect();
    expect_test::expect![[r#"
        [WARN] craton: evil.example:443 may not be reached: it is on no allow-list; name it under functions.hosts in craton.toml, or in the function's tag craton:allow-hosts
        [WARN] craton: a.shop.example:PORT may not be reached: it is a loopback address; only functions.hosts in craton.toml, naming exactly this host and port, opens it
        [WARN] craton: shop.example:443 may not be reached: it is on no allow-list; name it under functions.hosts in craton.toml, or in the function's tag craton:allow-hosts"#]].assert_eq(&warnings.join("\n"));
}

#[tokio::test]
async fn a_tag_opens_public_hosts_and_no_private_one() {
    let port = echo().await;
    let bench = jailed(&[], |_| {});
    let mut function = bench.function(TALK).await;
    function.allow_hosts = format!("shop.internal:{port} 127.0.0.2:{port}");
    let hosts = json!([["shop.internal", port], ["127.0.0.2", port]]);
    let invoked = bench.call(&function, json!({ "hosts": hosts })).await.unwrap();
    let heard = String::from_utf8_lossy(&invoked.payload).replace(&port.to_string(), "PORT");
    assert_eq!(
        heard,
        r#"{"shop.internal:PORT": "ConnectionResetError: Connection reset by peer", "127.0.0.2:PORT": "ConnectionResetError: Connection reset by peer"}"#
    );
    let log = log_of(&invoked);
    assert!(log.contains("only functions.hosts in craton.toml"), "{log}");

    function.allow_hosts = "https://shop.example".to_owned();
    let refused = bench.call(&function, json!({})).await.unwrap_err().to_string();
    assert!(refused.contains("its tag craton:allow-hosts: \"https://shop.example\""), "{refused}");
}

#[tokio::test]
async fn a_calls_bytes_are_counted_and_the_next_call_has_its_own() {
    let port = echo().await;
    let bench = jailed(&[format!("shop.internal:{port}")], |config| config.max_traffic_mb = 1);
    let hosts = json!([["shop.internal", port]]);
    let (heard, invoked) = talk(&bench, hosts.clone(), 2 << 20).await;
    let log = log_of(&invoked);
    assert!(log.contains("functions.max_traffic_mb sets how many"), "{heard}: {log}");
    let (heard, invoked) = talk(&bench, hosts, 5).await;
    assert_eq!(heard[format!("shop.internal:{port}")], "echo", "{}", log_of(&invoked));
}

#[tokio::test]
async fn craton_itself_is_always_reached_at_the_address_that_the_function_is_told() {
    let port = echo().await;
    for host in ["127.0.0.1", "0.0.0.0"] {
        let bench = jailed(&[], |_| {});
        let function = bench.function(TALK).await;
        let mut call = invocation(&json!({"hosts": [[host, port]]}));
        call.surroundings.endpoint_url = Some(format!("http://{host}:{port}"));
        let invoked = bench.functions.invoke(&function, call).await.unwrap();
        let heard: Value = serde_json::from_slice(&invoked.payload).unwrap();
        assert_eq!(heard[format!("{host}:{port}")], "echo", "{}", log_of(&invoked));
    }
}
