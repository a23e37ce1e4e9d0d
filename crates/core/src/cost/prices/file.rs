//! The words of a price file, and the exact rates that they stand for.
//!
//! Dollars are what people write, per million tokens where it is about those. What cannot be counted
//! in picodollars is refused by its name; nothing is rounded in silence.

use serde::Deserialize;

use super::{ModelPrice, Rates};
use crate::cost::Money;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) as_of: String,
    #[serde(default)]
    tool: Tool,
    #[serde(default)]
    memory: Memory,
    #[serde(default)]
    guardrail: Guardrail,
    #[serde(default)]
    knowledge: Knowledge,
    #[serde(default)]
    transition: Transition,
    #[serde(default)]
    pub(super) models: Vec<Entry>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Tool {
    call: Option<f64>,
    gb_second: Option<f64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Memory {
    store: Option<f64>,
    search: Option<f64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Guardrail {
    request: Option<f64>,
    text_unit: Option<f64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Knowledge {
    store: Option<f64>,
    query: Option<f64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Transition {
    standard: Option<f64>,
    express: Option<f64>,
}

/// One `[[models]]` of the file, in dollars per million tokens.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    #[serde(rename = "match")]
    pub(super) pattern: String,
    #[serde(default)]
    free: bool,
    #[serde(default)]
    pub(super) smaller: Option<String>,
    #[serde(flatten)]
    tokens: Tokens,
    #[serde(default)]
    long: Option<Long>,
}

#[derive(Debug, Deserialize)]
struct Tokens {
    input: Option<f64>,
    output: Option<f64>,
    cache_read: Option<f64>,
    cache_write: Option<f64>,
    cache_write_hour: Option<f64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Long {
    above: u64,
    #[serde(flatten)]
    tokens: Tokens,
}

impl File {
    pub(super) fn rates(&self, under: Rates) -> Result<Rates, String> {
        let rate = |name: &str, dollars: Option<f64>, under: Money| match dollars {
            Some(dollars) => exact(dollars, PICO).map_err(|e| format!("{name}: {e}")),
            None => Ok(under),
        };
        Ok(Rates {
            tool_call: rate("tool.call", self.tool.call, under.tool_call)?,
            tool_gb_second: rate("tool.gb_second", self.tool.gb_second, under.tool_gb_second)?,
            memory_store: rate("memory.store", self.memory.store, under.memory_store)?,
            memory_search: rate("memory.search", self.memory.search, under.memory_search)?,
            guardrail_request: rate(
                "guardrail.request",
                self.guardrail.request,
                under.guardrail_request,
            )?,
            guardrail_text_unit: rate(
                "guardrail.text_unit",
                self.guardrail.text_unit,
                under.guardrail_text_unit,
            )?,
            knowledge_store: rate("knowledge.store", self.knowledge.store, under.knowledge_store)?,
            knowledge_query: rate("knowledge.query", self.knowledge.query, under.knowledge_query)?,
            transition_standard: rate(
                "transition.standard",
                self.transition.standard,
                under.transition_standard,
            )?,
            transition_express: rate(
                "transition.express",
                self.transition.express,
                under.transition_express,
            )?,
        })
    }
}

impl Entry {
    pub(super) fn price(&self) -> Result<ModelPrice, String> {
        let said = self.tokens.input.is_some() || self.tokens.output.is_some();
        match (self.free, said) {
            (true, false) => return Ok(ModelPrice::FREE),
            (true, true) => return Err("free, and with a price; say one of the two".to_owned()),
            (false, _) => {}
        }
        let mut price = self.tokens.price()?;
        if let Some(long) = &self.long {
            price.long = Some(Box::new((long.above, long.tokens.price()?)));
        }
        Ok(price)
    }
}

impl Tokens {
    fn price(&self) -> Result<ModelPrice, String> {
        let rate = |name: &str, dollars: Option<f64>| {
            let dollars = dollars.map(|dollars| exact(dollars, PICO_PER_MILLION));
            dollars.transpose().map_err(|e| format!("{name}: {e}"))
        };
        let input = rate("input", self.input)?.ok_or("input is missing")?;
        let part = |percent: i64| Money(input.0 / 100 * percent + input.0 % 100 * percent / 100);
        Ok(ModelPrice {
            input,
            output: rate("output", self.output)?.ok_or("output is missing")?,
            cache_read: rate("cache_read", self.cache_read)?.unwrap_or(part(10)),
            cache_write: rate("cache_write", self.cache_write)?.unwrap_or(part(125)),
            cache_write_hour: rate("cache_write_hour", self.cache_write_hour)?.unwrap_or(part(200)),
            long: None,
            free: false,
        })
    }
}

/// Picodollars in a dollar, and in a millionth of one.
const PICO: f64 = 1e12;
const PICO_PER_MILLION: f64 = 1e6;

/// A rate as a whole number of picodollars.
fn exact(dollars: f64, scale: f64) -> Result<Money, String> {
    let pico = (dollars * scale).round();
    let near = (dollars * scale - pico).abs() <= 1e-6 * pico.abs().max(1e-3);
    if !(0.0..=1e15).contains(&pico) || !near {
        return Err(format!("{dollars} is no price that can be counted in picodollars"));
    }
    Ok(Money(pico as i64))
}
