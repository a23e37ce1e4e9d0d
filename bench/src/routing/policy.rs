//! The policies that are compared: one model for every step, or a `[routing]` of `craton.toml`.
//!
//! The text that the server is started with is the text that the prices are computed by.

use craton_core::route::{Inputs, Known, Question, StepKind, Table, Wishes, choose};
use serde::Deserialize;

use crate::Error;

pub(super) const LARGE: &str = "large";
pub(super) const MEDIUM: &str = "medium";
pub(super) const SMALL: &str = "small";
pub(super) const ROUTED: &str = "routed";

const LARGE_MODEL: &str = "anthropic.claude-opus-4-6-v1";
const MEDIUM_MODEL: &str = "anthropic.claude-sonnet-4-6";
const HAIKU: &str = "anthropic.claude-haiku-4-5-20251001-v1:0";
const NOVA_PRO: &str = "amazon.nova-pro-v1:0";
const CHEAPEST_MODEL: &str = "amazon.nova-micro-v1:0";

/// What stands before a model's id where its step is beyond it.
const BEYOND: &str = "beyond/";

/// Whatever is asked for, the rules answer; what is beyond a model, `craton.clumsy` does.
const MAP: &str = "[[models]]\nmatch = \"beyond/*\"\nprovider = \"clumsy\"\nmodel = \"craton.clumsy:1\"\n\n\
    [[models]]\nmatch = \"*\"\nprovider = \"rules\"\n";

pub(super) struct Policy {
    pub(super) name: &'static str,
    /// The model that every agent names.
    pub(super) own: &'static str,
    /// All of `craton.toml`.
    pub(super) config: String,
    table: Option<Table>,
}

#[derive(Deserialize)]
struct Config {
    routing: Option<Table>,
}

/// Two without routing; the small model alone, to which steps above the index are beyond; the
/// defaults of `[routing]`; the same with the small model of the medium one's vendor; and the
/// defaults with the medium model above 40.
pub(super) fn all() -> Result<Vec<Policy>, Error> {
    Ok(vec![
        Policy::of(LARGE, LARGE_MODEL, "")?,
        Policy::of(MEDIUM, MEDIUM_MODEL, "")?,
        Policy::of(SMALL, NOVA_PRO, &overtaxed(NOVA_PRO))?,
        Policy::of(ROUTED, MEDIUM_MODEL, &routing(NOVA_PRO, ""))?,
        Policy::of("routed-haiku", MEDIUM_MODEL, &routing(HAIKU, ""))?,
        Policy::of(
            "routed-medium-above-40",
            MEDIUM_MODEL,
            &routing(NOVA_PRO, "medium_above = 40"),
        )?,
    ])
}

/// Plans above an index of 70 go to the large model, all others to the small one; what is extracted,
/// retrieved and summed up to the cheapest.
fn routing(small: &str, more: &str) -> String {
    format!(
        "[routing]\n{more}\n\n[routing.classes]\nlarge = \"{LARGE_MODEL}\"\nmedium = \"{MEDIUM_MODEL}\"\n\
         small = \"{small}\"\ncheapest = \"{CHEAPEST_MODEL}\"\n\n[routing.steps]\n\
         tool_arguments = \"cheapest\"\nretrieval_text = \"cheapest\"\nsummarisation = \"cheapest\"\n"
    )
}

/// All on one model, which does badly above the index.
fn overtaxed(small: &str) -> String {
    format!("[routing.classes]\nlarge = \"{BEYOND}{small}\"\nsmall = \"{small}\"\n")
}

impl Policy {
    fn of(name: &'static str, own: &'static str, routing: &str) -> Result<Policy, Error> {
        let config = format!("{MAP}\n{routing}");
        let Config { routing: table } = toml::from_str(&config)?;
        Ok(Policy { name, own, config, table })
    }

    /// Whether it sends each step to a model that can do it.
    pub(super) fn routes(&self) -> bool {
        self.name.starts_with(ROUTED)
    }

    /// The model of a step.
    pub(super) fn model(&self, kind: StepKind, inputs: Inputs) -> String {
        let Some(table) = &self.table else { return self.own.to_owned() };
        let known = Known {
            table,
            on: true,
            local: &|_| false,
            restricted: false,
            fallbacks: &|_| Vec::new(),
            router: &|_| None,
            fits: &|pattern, id| pattern == id,
            draw: &|| 0,
        };
        let wishes = Wishes::default();
        let question =
            Question { kind, own: self.own, wishes: &wishes, by_table: true, inputs, session: 0 };
        choose(&question, &known).map_or_else(|| self.own.to_owned(), |route| route.model)
    }

    /// The class that a model has here; without a table all steps are of the policy's own.
    pub(super) fn class(&self, model: &str) -> &'static str {
        let Some(table) = &self.table else { return self.name };
        if model.starts_with(BEYOND) {
            return "beyond";
        }
        let mut classes = table.classes.iter();
        let found = classes.find(|(_, models)| models.iter().any(|one| one == model));
        found.map_or("own", |(class, _)| class.word())
    }
}
