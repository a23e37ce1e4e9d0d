//! What a jailed handler is and sees.

use exec::Isolation;
use expect_test::expect;
use serde_json::json;

use crate::Bench;

fn jailed() -> Bench {
    Bench::new(|config| config.isolation = Isolation::Jail)
}

#[tokio::test]
async fn a_jailed_handler_is_nobody_and_alone() {
    let bench = jailed();
    let source = "
import os
def handler(event, context):
    status = dict(l.split(':\\t', 1) for l in open('/proc/self/status').read().splitlines() if ':\\t' in l)
    return {'id': [os.getuid(), os.getgid()], 'root': sorted(os.listdir('/')), 'cwd': os.getcwd(),
            'processes': sorted(int(p) for p in os.listdir('/proc') if p.isdigit()),
            'caps': status['CapBnd'], 'nnp': status['NoNewPrivs'], 'seccomp': status['Seccomp'],
            'api': os.environ['AWS_LAMBDA_RUNTIME_API'], 'interfaces': os.listdir('/sys/class/net') if os.path.exists('/sys') else None}
";
    let function = bench.function(source).await;
    let answer = bench.answer(&function, json!({})).await;
    expect![[r#"
        {
          "api": "127.0.0.1:9001",
          "caps": "0000000000000000",
          "cwd": "/var/task",
          "id": [
            993,
            990
          ],
          "interfaces": null,
          "nnp": "1",
          "processes": [
            1,
            2
          ],
          "root": [
            "bin",
            "dev",
            "etc",
            "lib",
            "lib64",
            "opt",
            "proc",
            "root",
            "sbin",
            "tmp",
            "usr",
            "var"
          ],
          "seccomp": "2"
        }"#]]
    .assert_eq(&serde_json::to_string_pretty(&answer).unwrap());
}
