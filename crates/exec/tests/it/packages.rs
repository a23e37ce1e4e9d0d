//! boto3 for handlers that do not bundle it, from a wheel of the test: nothing is downloaded.

use exec::Isolation;
use serde_json::json;

use crate::{Bench, zip};

const IMPORTS_LATE: &str = "
def handler(event, context):
    import boto3
    return boto3.NAME
";

#[tokio::test]
async fn a_handler_finds_managed_packages_after_the_first_import_asked_for_them() {
    let dir = tempfile::tempdir().unwrap();
    let wheel = dir.path().join("boto3-9.9-py3-none-any.whl");
    let files = [
        ("boto3/__init__.py", "NAME = 'managed'"),
        ("boto3-9.9.dist-info/METADATA", "Metadata-Version: 2.1\nName: boto3\nVersion: 9.9\n"),
        (
            "boto3-9.9.dist-info/WHEEL",
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        ),
        ("boto3-9.9.dist-info/RECORD", ""),
    ];
    std::fs::write(&wheel, zip(&files)).unwrap();
    for isolation in [Isolation::Process, Isolation::Jail] {
        let bench = Bench::new(|config| {
            config.isolation = isolation;
            config.boto3 = wheel.display().to_string();
        });
        let mut function = bench.function(IMPORTS_LATE).await;
        // Shorter than the installation, which does not count as the function's time.
        function.timeout = std::time::Duration::from_millis(1500);
        assert_eq!(bench.answer(&function, json!({})).await, json!("managed"));
        bench.functions.forget(&function.arn).await;
        assert_eq!(bench.answer(&function, json!({})).await, json!("managed"));
    }
}

#[tokio::test]
async fn when_they_cannot_be_installed_the_error_says_how_to_package() {
    let bench = Bench::new(|_| ());
    // A file where the environment should go fails sooner than a network that is not there.
    let venv = bench.dir.path().join("venv");
    std::fs::remove_dir(&venv).unwrap();
    std::fs::write(&venv, "").unwrap();
    let function = bench.function("import boto3\ndef handler(e, c): return 1").await;
    let invoked = bench.call(&function, json!({})).await.unwrap();
    let error: serde_json::Value = serde_json::from_slice(&invoked.payload).unwrap();
    let message = error["errorMessage"].as_str().unwrap();
    let start = "Unable to import module 'main': No module named 'boto3' (craton could not install";
    assert!(message.starts_with(start), "{message}");
    assert!(message.contains("package it with the function: pip install -t . boto3"), "{message}");
}
