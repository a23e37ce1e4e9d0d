//! The price file: what tokens, tools, memory and the rest cost, with the day it was true.
//!
//! Pure text in, exact picodollars out. An entry is found by a model's name as its provider knows
//! it. A model without an entry has no price, which is not a price of zero: whoever asks says so.

mod file;

use wire::converse::Usage;

use self::file::File;
use super::Money;

/// Prices at one day. The file that an operator names lies over the embedded one.
#[derive(Debug, Clone, PartialEq)]
pub struct Prices {
    /// The day of the youngest file, as it says.
    pub as_of: String,
    models: Vec<Priced>,
    pub rates: Rates,
}

#[derive(Debug, Clone, PartialEq)]
struct Priced {
    pattern: String,
    price: ModelPrice,
    /// The model to which simpler steps can go.
    smaller: Option<String>,
}

/// What one model's tokens cost, in picodollars each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelPrice {
    pub input: Money,
    pub output: Money,
    pub cache_read: Money,
    /// For the five minutes that caches last where nobody says otherwise.
    pub cache_write: Money,
    pub cache_write_hour: Money,
    /// Of calls whose input is longer than so many tokens.
    pub long: Option<Box<(u64, ModelPrice)>>,
    /// It costs nothing because it runs here, not because nobody knows.
    pub free: bool,
}

/// What is paid for besides tokens, for each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rates {
    pub tool_call: Money,
    /// A function's memory while it works, in gigabytes, for a second.
    pub tool_gb_second: Money,
    pub memory_store: Money,
    pub memory_search: Money,
    /// Of a guarded request whose text units nobody counted.
    pub guardrail_request: Money,
    pub guardrail_text_unit: Money,
    pub knowledge_store: Money,
    pub knowledge_query: Money,
    pub transition_standard: Money,
    pub transition_express: Money,
}

impl Default for Prices {
    fn default() -> Self {
        let embedded = include_str!("prices.toml");
        Prices::none().over(embedded).expect("a test reads the embedded prices")
    }
}

impl Prices {
    /// No prices at all.
    pub fn none() -> Prices {
        Prices { as_of: String::new(), models: Vec::new(), rates: Rates::default() }
    }

    /// These prices with a file's above them; the error names what is wrong with the file.
    pub fn over(self, text: &str) -> Result<Prices, String> {
        let file: File = toml::from_str(text).map_err(|e| e.to_string().trim_end().to_owned())?;
        let rates = file.rates(self.rates)?;
        let mut models = Vec::with_capacity(file.models.len() + self.models.len());
        for entry in &file.models {
            let price = entry.price().map_err(|e| format!("models {:?}: {e}", entry.pattern))?;
            let (pattern, smaller) = (entry.pattern.to_ascii_lowercase(), entry.smaller.clone());
            models.push(Priced { pattern, price, smaller });
        }
        models.extend(self.models);
        Ok(Prices { as_of: file.as_of, models, rates })
    }

    /// What a model costs; `None` where nobody said.
    pub fn model(&self, id: &str) -> Option<&ModelPrice> {
        self.priced(id).map(|priced| &priced.price)
    }

    /// The model to which simpler steps of this one can go, and its price.
    pub fn smaller(&self, id: &str) -> Option<(&str, &ModelPrice)> {
        let name = self.priced(id)?.smaller.as_deref()?;
        Some((name, self.model(name)?))
    }

    fn priced(&self, id: &str) -> Option<&Priced> {
        let name = id.to_ascii_lowercase();
        let name = name.rsplit('/').next().unwrap_or_default();
        let found = |name: &str| {
            let fits = |priced: &&Priced| matches(priced.pattern.as_bytes(), name.as_bytes());
            self.models.iter().find(fits)
        };
        found(name).or_else(|| found(without_region(name)?))
    }
}

/// `anthropic.…` of `us.anthropic.…`.
/// AWS: an inference profile's id is the model's behind a geography (Bedrock user guide, "Supported
/// Regions and models for inference profiles").
fn without_region(name: &str) -> Option<&str> {
    let (region, rest) = name.split_once('.')?;
    let known = ["us", "eu", "apac", "global", "us-gov", "jp", "au", "ca"];
    known.contains(&region).then_some(rest)
}

impl ModelPrice {
    /// Of a model that runs on the operator's own machines.
    pub const FREE: ModelPrice = ModelPrice {
        input: Money::ZERO,
        output: Money::ZERO,
        cache_read: Money::ZERO,
        cache_write: Money::ZERO,
        cache_write_hour: Money::ZERO,
        long: None,
        free: true,
    };

    /// What a call cost.
    pub fn cost(&self, usage: &Usage) -> Money {
        let price = self.at_length(usage.all_input());
        let hour = usage.cache_write_hour_input_tokens.min(usage.cache_write_input_tokens);
        price.input.times(usage.input_tokens)
            + price.output.times(usage.output_tokens)
            + price.cache_read.times(usage.cache_read_input_tokens)
            + price.cache_write.times(usage.cache_write_input_tokens - hour)
            + price.cache_write_hour.times(hour)
    }

    /// What the same call would cost more without a cache.
    pub fn saved(&self, usage: &Usage) -> Money {
        let all = usage.all_input();
        let price = self.at_length(all);
        let plain = price.input.times(all) + price.output.times(usage.output_tokens);
        plain - self.cost(usage)
    }

    /// The most that a call can cost: no token is shorter than a byte, and any of them may be one
    /// that a cache writes for an hour.
    pub fn at_most(&self, input_bytes: u64, output_cap: u64) -> Money {
        let dearest = self.input.max(self.cache_write).max(self.cache_write_hour);
        let most = dearest.times(input_bytes) + self.output.times(output_cap);
        match &self.long {
            Some(long) if input_bytes > long.0 => most.max(long.1.at_most(input_bytes, output_cap)),
            _ => most,
        }
    }

    fn at_length(&self, input_tokens: u64) -> &ModelPrice {
        match &self.long {
            Some(long) if input_tokens > long.0 => &long.1,
            _ => self,
        }
    }
}

impl Rates {
    /// A tool that was asked so often, and worked so long with so much memory in all.
    pub fn tool(&self, calls: u32, millis: u64, memory_mb: u32) -> Money {
        // Megabytes × milliseconds of a gigabyte second, without losing a picodollar on the way.
        let work = i128::from(millis) * i128::from(memory_mb) * i128::from(self.tool_gb_second.0);
        let work = i64::try_from(work / (1_000 * 1_024)).unwrap_or(i64::MAX);
        self.tool_call.times(u64::from(calls)) + Money(work)
    }
}

/// `*` is any text, `?` any one character.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&c) if c == b'?' || c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((at, from)) = star else { return false };
                star = Some((at, from + 1));
                p = at + 1;
                t = from + 1;
            }
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The price card of requirement L5.
    const CARD: &str = r#"
        as_of = "2025-01-01"
        [tool]
        call = 0.0001
        gb_second = 0
        [memory]
        store = 0.00002
        search = 0.00001
        [guardrail]
        request = 0.01
        [[models]]
        match = "card"
        input = 3.0
        output = 15.0
    "#;

    fn usage(input: u64, output: u64, read: u64, written: u64) -> Usage {
        Usage {
            input_tokens: input,
            output_tokens: output,
            cache_read_input_tokens: read,
            cache_write_input_tokens: written,
            ..Usage::default()
        }
    }

    /// The price of `model`: input/output/read/write/hour per million tokens.
    fn check(model: &str, expected: &str) {
        let prices = Prices::default();
        let said = match prices.model(model) {
            None => "unknown".to_owned(),
            Some(price) if price.free => "free".to_owned(),
            Some(price) => {
                let million = |rate: Money| rate.times(1_000_000).dollars().to_string();
                [price.input, price.output, price.cache_read, price.cache_write]
                    .map(million)
                    .join("/")
            }
        };
        assert_eq!(said, expected, "{model}");
    }

    #[test]
    fn a_model_is_found_by_its_providers_name_and_never_guessed() {
        check("anthropic.claude-3-5-sonnet-20240620-v1:0", "3/15/0.3/3.75");
        check("us.anthropic.claude-3-7-sonnet-20250219-v1:0", "3/15/0.3/3.75");
        check("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "3.3/16.5/0.33/4.125");
        check("global.anthropic.claude-sonnet-4-5-20250929-v1:0", "3/15/0.3/3.75");
        check("us-gov.anthropic.claude-sonnet-4-5-20250929-v1:0", "3.6/18/0.36/4.5");
        check("gpt-4o-2024-05-13", "5/15/5/5");
        check("o4-mini-deep-research", "2/8/0.5/2");
        check("claude-opus-4-20250514", "15/75/1.5/18.75");
        check("global.anthropic.claude-opus-4-5-20251101-v1:0", "5/25/0.5/6.25");
        check("claude-haiku-4-5", "1/5/0.1/1.25");
        check("claude-3-haiku-20240307", "0.25/1.25/0.03/0.3");
        check(
            "arn:aws:bedrock:us-east-1:1:inference-profile/eu.amazon.nova-lite-v1:0",
            "0.06/0.24/0.015/0.06",
        );
        check("gpt-4o-mini", "0.15/0.6/0.075/0.15");
        check("openai/gpt-4o", "2.5/10/1.25/2.5");
        check("GPT-5", "1.25/10/0.125/1.25");
        check("gemini-2.5-flash", "0.3/2.5/0.03/0.3");
        check("craton.clumsy:7", "free");
        check("qwen3:8b", "unknown");
        check("ft:gpt-4o:mine", "unknown");
        check("gpt-4o-audio-preview", "unknown");
        check("", "unknown");
    }

    #[test]
    fn the_smaller_model_of_a_model_is_priced_and_cheaper() {
        let prices = Prices::default();
        let names = prices
            .models
            .iter()
            .filter_map(|priced| Some((&priced.price, priced.smaller.as_ref()?)));
        let mut seen = 0;
        for (price, smaller) in names {
            let less = prices.model(smaller).expect("it is priced");
            assert!(less.input < price.input && less.output < price.output, "{smaller}");
            seen += 1;
        }
        assert!(seen > 20, "{seen}");
        assert_eq!(prices.smaller("claude-3-haiku-20240307"), None);
    }

    #[test]
    fn the_price_card_gives_its_figures_to_the_picodollar() {
        let prices = Prices::none().over(CARD).expect("valid");
        let card = prices.model("card").expect("it is there");
        assert_eq!(card.cost(&usage(500, 200, 0, 0)).to_string(), "$0.0045");
        assert_eq!(prices.rates.tool(3, 9_000, 512).to_string(), "$0.0003");
        assert_eq!(prices.rates.memory_store.to_string(), "$0.00002");
        assert_eq!(prices.rates.memory_search.to_string(), "$0.00001");
        assert_eq!(prices.rates.guardrail_request.to_string(), "$0.01");
    }

    #[test]
    fn a_cost_per_task_is_what_a_hand_calculation_gives() {
        // CPTO = in·rateIn/1e6 + out·rateOut/1e6 + tool costs
        let prices = Prices::default();
        for (model, rate_in, rate_out) in [
            ("claude-3-5-haiku", 0.80, 4.0),
            ("amazon.nova-micro-v1:0", 0.035, 0.14),
            ("o3", 2.0, 8.0),
        ] {
            for (tokens_in, tokens_out, calls) in
                [(1u64, 1u64, 0u32), (12_345, 678, 4), (9_999_999, 123_457, 50)]
            {
                let price = prices.model(model).expect("priced");
                let ours = price.cost(&usage(tokens_in, tokens_out, 0, 0))
                    + prices.rates.tool(calls, 0, 0);
                let by_hand = tokens_in as f64 * rate_in / 1e6
                    + tokens_out as f64 * rate_out / 1e6
                    + f64::from(calls) * 0.0001;
                assert!(
                    (ours.dollars() - by_hand).abs() < 1e-9,
                    "{model}: {ours} is not {by_hand}"
                );
            }
        }
    }

    #[test]
    fn fifty_six_percent_of_an_input_from_the_cache_halve_its_price() {
        let prices = Prices::none().over(CARD).expect("valid");
        let card = prices.model("card").expect("it is there");
        let saved = |read: u64| {
            let usage = usage(100_000 - read, 0, read, 0);
            card.saved(&usage).dollars() / (card.saved(&usage) + card.cost(&usage)).dollars()
        };
        assert!(saved(56_000) >= 0.5, "{}", saved(56_000));
        assert!(saved(55_000) < 0.5, "{}", saved(55_000));
        // The first call writes what the others read.
        let first = usage(0, 0, 0, 1_000);
        assert_eq!(card.cost(&first).to_string(), "$0.00375");
        assert_eq!(card.saved(&first).to_string(), "-$0.00075");
        let hour = Usage { cache_write_hour_input_tokens: 400, ..first };
        assert_eq!(card.cost(&hour).to_string(), "$0.00465");
    }

    #[test]
    fn a_long_input_has_its_own_price_and_the_upper_bound_knows_it() {
        let prices = Prices::default();
        let sonnet = prices.model("claude-sonnet-4-5").expect("priced");
        assert_eq!(sonnet.cost(&usage(200_000, 0, 0, 0)).to_string(), "$0.60");
        assert_eq!(sonnet.cost(&usage(1, 0, 200_000, 0)), Money(6_000_000 + 200_000 * 600_000));
        for (input, output) in [(1, 1), (199_999, 10), (200_001, 10), (1_000_000, 64_000)] {
            let most = sonnet.at_most(input, output);
            for read in [0, input / 2, input] {
                let written = usage(0, output, read, input - read);
                let plain = usage(input - read, output, read, 0);
                assert!(sonnet.cost(&written) <= most && sonnet.cost(&plain) <= most);
            }
        }
    }

    #[test]
    fn a_function_pays_for_its_time_and_memory() {
        let rates = Prices::default().rates;
        // 1 GB for 2 s at $0.0000166667, and the call.
        assert_eq!(rates.tool(1, 2_000, 1_024).to_string(), "$0.0001333334");
        assert_eq!(rates.tool(2, 0, 128).to_string(), "$0.0002");
    }

    #[test]
    fn a_file_lies_over_the_embedded_prices() {
        let own = r#"
            as_of = "2026-11-01"
            [tool]
            call = 0
            [[models]]
            match = "gpt-4o*"
            input = 1
            output = 2
            cache_read = 0.5
            [[models]]
            match = "qwen3*"
            free = true
        "#;
        let prices = Prices::default().over(own).expect("valid");
        assert_eq!(prices.as_of, "2026-11-01");
        assert_eq!(prices.model("gpt-4o-mini").map(|price| price.cache_read), Some(Money(500_000)));
        assert_eq!(prices.model("qwen3:8b"), Some(&ModelPrice::FREE));
        assert_eq!(prices.rates.tool_call, Money::ZERO);
        assert_eq!(prices.rates.memory_store, Money(20_000_000));
        assert!(prices.model("claude-3-5-haiku").is_some());
    }

    #[test]
    fn a_file_that_is_wrong_is_refused_by_place() {
        let wrong = |text: &str| Prices::none().over(text).expect_err("wrong");
        let first = |text: &str| wrong(text).lines().next().unwrap_or_default().to_owned();
        let model = |rest: &str| format!("as_of = \"2026\"\n[[models]]\nmatch = \"a\"\n{rest}");
        assert_eq!(first(&model("input = 1")), "models \"a\": output is missing");
        assert_eq!(
            first(&model("input = -1\noutput = 1")),
            "models \"a\": input: -1 is no price that can be counted in picodollars"
        );
        assert_eq!(
            first(&model("free = true\ninput = 1")),
            "models \"a\": free, and with a price; say one of the two"
        );
        assert!(wrong(&model("input = 1\noutput = 1\ncache_reed = 1")).contains("cache_reed"));
        assert!(wrong("as_of = \"2026\"\n[tools]\ncall = 1").contains("unknown field `tools`"));
        assert!(wrong("[tool]\ncall = 1").contains("missing field `as_of`"));
        assert_eq!(
            first("as_of = \"2026\"\n[tool]\ncall = 0.00000000000001"),
            "tool.call: 0.00000000000001 is no price that can be counted in picodollars"
        );
    }
}
