//! One suite, run on every backend; then what only one of them can do.

use serde::{Deserialize, Serialize};

use crate::{Batch, Record, Store, Tenant};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Note {
    text: String,
}

impl Record for Note {
    const KIND: &'static str = "note";
    const VERSION: u32 = 1;
}

#[tokio::test]
async fn a_document_is_read_back() {
    let dir = tempfile::tempdir().unwrap();
    for store in [Store::open(dir.path()).unwrap(), Store::memory().unwrap()] {
        let t = Tenant::new("1", "r");
        let mut b = Batch::new(&t, 5);
        b.put("a", &Note { text: "x".into() });
        b.enqueue("run", "lane", 0, Some(("me", 10))).append("run", 1, 1, 1, "", "payload");
        store.commit(b).await.unwrap();
        assert_eq!(store.get::<Note>(&t, "a").await.unwrap().unwrap().version, 1);
        assert_eq!(store.journal(&t, "run", 0, 10).await.unwrap().len(), 1);
        assert_eq!(store.verify_journal(&t, "run").await.unwrap(), 1);
        assert_eq!(store.claim(11, "you", 20, 10).await.unwrap()[0].epoch, 2);
    }
}
