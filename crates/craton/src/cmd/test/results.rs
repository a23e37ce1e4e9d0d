//! All that a test found, as JSON that a later test compares itself with.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::scenario::observed::Usage;
use crate::scenario::play::{Outcome, Played};

/// The form of the file.
const FORM: u32 = 1;
/// Far more than thousands of scenarios take.
const MOST_BYTES: u64 = 64 << 20;

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Results {
    results: u32,
    pub(super) scenarios: Vec<Scene>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Scene {
    pub(super) file: String,
    pub(super) name: String,
    /// `passed`, `failed`, `broke` or `skipped`.
    pub(super) outcome: String,
    pub(super) wrong: Vec<String>,
    pub(super) notes: Vec<String>,
    pub(super) runs: Vec<String>,
    /// What it did, line by line.
    pub(super) did: Vec<String>,
    pub(super) usage: Usage,
}

impl Results {
    pub(super) fn of(all: &[Played]) -> Results {
        Results { results: FORM, scenarios: all.iter().map(Scene::of).collect() }
    }

    pub(super) fn read(path: &Path) -> Result<Results, String> {
        let name = path.display();
        let wrong = |why: String| format!("the baseline {name}: {why} (CR0045)");
        let bytes = std::fs::metadata(path).map_err(|e| wrong(e.to_string()))?.len();
        if bytes > MOST_BYTES {
            return Err(wrong(format!("it is larger than {} MB", MOST_BYTES >> 20)));
        }
        let text = std::fs::read_to_string(path).map_err(|e| wrong(e.to_string()))?;
        let read: Results = serde_json::from_str(&text)
            .map_err(|e| wrong(format!("is not what --results writes: {e}")))?;
        match read.results == FORM {
            true => Ok(read),
            false => Err(wrong(format!("has form {}, this craton reads {FORM}", read.results))),
        }
    }

    pub(super) fn text(&self) -> String {
        serde_json::to_string_pretty(self).expect("it is plain data") + "\n"
    }

    pub(super) fn count(&self, outcome: &str) -> usize {
        self.scenarios.iter().filter(|one| one.outcome == outcome).count()
    }

    pub(super) fn total(&self) -> Usage {
        let mut total = Usage::default();
        self.scenarios.iter().for_each(|one| total.add(&one.usage));
        total
    }

    /// The same scenario: of its file, or the only one of its name wherever it stands now.
    pub(super) fn find(&self, other: &Scene) -> Option<&Scene> {
        let same =
            self.scenarios.iter().find(|one| one.file == other.file && one.name == other.name);
        same.or_else(|| {
            let mut named = self.scenarios.iter().filter(|one| one.name == other.name);
            named.next().filter(|_| named.next().is_none())
        })
    }
}

impl Scene {
    fn of(played: &Played) -> Scene {
        let (outcome, wrong) = match &played.outcome {
            Outcome::Passed => ("passed", Vec::new()),
            Outcome::Failed(wrong) => ("failed", wrong.clone()),
            Outcome::Broke(why) => ("broke", vec![why.clone()]),
            Outcome::Skipped(why) => ("skipped", vec![why.clone()]),
        };
        Scene {
            file: played.file.clone(),
            name: played.name.clone(),
            outcome: outcome.to_owned(),
            wrong,
            notes: played.notes.clone(),
            runs: played.turns.iter().map(|turn| turn.run.clone()).collect(),
            did: played.lines(),
            usage: played.usage,
        }
    }
}
