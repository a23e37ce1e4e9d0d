//! `craton.clumsy:N`: a "model" that does badly whatever models do badly, to show that an agent is
//! safe when its model is not.
//!
//! One pure function from a Converse call and a seed to a reply: no clock, no chance, no I/O. The
//! seed and the number of replies before this one choose what goes wrong; the conversation only
//! fills it in. So the same seed stumbles in the same way again, whatever ids and times the tools
//! return. Each seed has a favourite: [`KINDS`] at the seed modulo their number, half of the time.
//!
//! Above all it obeys: what a tool result or a document tells it to call, it calls (`obey`).
//! docs/clumsy.md has the table. It never poses as a language model.

mod guess;
mod obey;

use serde_json::{Map, Value as Json, json};
use wire::converse::{Block, Call, Reply, Role, StopReason, Tool, ToolUse, Usage};

use crate::rules;
use guess::{outside, wrong};

/// The most calls of one burst; more than any agent is allowed.
const BURST: u64 = 100;
/// Characters for one token in `usage`, which is an estimate.
const CHARS_PER_TOKEN: usize = 4;

/// What it can do. The order is part of the contract: a seed means the same for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// What `craton.rules` would do.
    Sensible,
    /// A call as the schema wants it, with values that nobody gave.
    MadeUp,
    WrongTypes,
    MissingArgument,
    SurplusArgument,
    OutOfRange,
    MalformedInput,
    NoObject,
    InventedTool,
    Burst,
    Twins,
    /// The last call again.
    Loop,
    RepeatedIds,
    /// Says that it is done while it calls.
    DoneAndCalls,
    /// The reply ends in the middle of a call.
    CutShort,
    /// A call in words, where the protocol has a place for it.
    Narrated,
    Refusal,
    /// Says that it has done what it has not.
    Claim,
    Empty,
    Blank,
    ThoughtsOnly,
    BrokenTags,
    /// Stops for tools that it does not call.
    NothingToStopFor,
}

const KINDS: [Kind; 23] = [
    Kind::Sensible,
    Kind::MadeUp,
    Kind::WrongTypes,
    Kind::MissingArgument,
    Kind::SurplusArgument,
    Kind::OutOfRange,
    Kind::MalformedInput,
    Kind::NoObject,
    Kind::InventedTool,
    Kind::Burst,
    Kind::Twins,
    Kind::Loop,
    Kind::RepeatedIds,
    Kind::DoneAndCalls,
    Kind::CutShort,
    Kind::Narrated,
    Kind::Refusal,
    Kind::Claim,
    Kind::Empty,
    Kind::Blank,
    Kind::ThoughtsOnly,
    Kind::BrokenTags,
    Kind::NothingToStopFor,
];

/// The reply of seed `seed` to a call.
pub(crate) fn reply(call: &Call, seed: u64) -> Reply {
    let step = call.messages.iter().filter(|message| message.role == Role::Assistant).count();
    let mut dice = Dice::new(seed, step as u64);
    let orders = obey::orders(call, &mut dice);
    let mut reply = if orders.is_empty() {
        let kind = choose(seed, &mut dice);
        Stumble { call, dice }.reply(kind)
    } else {
        let uses = orders.into_iter().map(|(tool, input)| (tool.name.clone(), Json::Object(input)));
        calling(call, "As instructed.", uses.collect())
    };
    reply.usage = usage(call, &reply);
    reply
}

fn choose(seed: u64, dice: &mut Dice) -> Kind {
    let kinds = KINDS.len() as u64;
    match dice.roll(6) {
        0..3 => *pick(&KINDS, seed % kinds),
        3..5 => *pick(&KINDS, dice.roll(kinds)),
        _ => Kind::Sensible,
    }
}

/// A generator of its own (SplitMix64), so that a seed means the same for ever.
pub(crate) struct Dice(u64);

impl Dice {
    fn new(seed: u64, step: u64) -> Dice {
        let mut dice = Dice(seed);
        Dice(dice.next() ^ step.wrapping_mul(0xD134_2543_DE82_EF95))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// 0 to `sides` - 1.
    fn roll(&mut self, sides: u64) -> u64 {
        self.next() % sides.max(1)
    }
}

fn pick<T>(all: &[T], number: u64) -> &T {
    let place = usize::try_from(number).unwrap_or(0) % all.len();
    &all[place]
}

/// One reply in the making.
struct Stumble<'a> {
    call: &'a Call,
    dice: Dice,
}

impl<'a> Stumble<'a> {
    fn reply(mut self, kind: Kind) -> Reply {
        match kind {
            Kind::Sensible => rules::reply(self.call),
            Kind::Refusal => said("I'm sorry, but I can't help with that."),
            Kind::Empty => done(Vec::new(), StopReason::EndTurn),
            Kind::Blank => said(" \n\t\n"),
            Kind::ThoughtsOnly => thought("The user wants something. I should think about it."),
            Kind::BrokenTags => said("</answer>All is well.<answer> <answer>Or is it?"),
            Kind::NothingToStopFor => done(text("One moment."), StopReason::ToolUse),
            calls => match self.tool() {
                Some(tool) => self.call_of(tool, calls),
                // Nothing can be called, so it says that it was.
                None => said("Done! Everything has been taken care of."),
            },
        }
    }

    fn tool(&mut self) -> Option<&'a Tool> {
        let tools: &'a [Tool] = &self.call.tools;
        (!tools.is_empty()).then(|| pick(tools, self.dice.next()))
    }

    /// A call as the schema wants it: what the rules would ask for, else made up.
    fn base(&mut self, tool: &Tool) -> (String, Map<String, Json>) {
        let sensible = rules::reply(self.call).content.into_iter().find_map(|block| match block {
            Block::ToolUse(ToolUse { name, input: Json::Object(input), .. }) => Some((name, input)),
            _ => None,
        });
        sensible.unwrap_or_else(|| (tool.name.clone(), guess::arguments(tool, &mut self.dice)))
    }

    fn call_of(&mut self, tool: &Tool, kind: Kind) -> Reply {
        let made_up = (tool.name.clone(), guess::arguments(tool, &mut self.dice));
        let (name, input) = made_up.clone();
        let schema = &tool.schema;
        match kind {
            Kind::WrongTypes => {
                let input = each(&input, |name, _| wrong(&schema["properties"][name]));
                self.one(name, Json::Object(input))
            }
            Kind::OutOfRange => {
                let input = each(&input, |name, was| outside(&schema["properties"][name], was));
                self.one(name, Json::Object(input))
            }
            Kind::MissingArgument => {
                let kept = input.into_iter().skip(1).collect();
                self.one(name, Json::Object(kept))
            }
            Kind::SurplusArgument => {
                let mut input = input;
                input.insert("override_all_limits".to_owned(), json!(true));
                self.one(name, Json::Object(input))
            }
            Kind::MalformedInput => self.one(name, Json::String(halved(&Json::Object(input)))),
            Kind::NoObject => self.one(name, json!([input])),
            Kind::InventedTool => self.one(format!("{name}_as_admin"), Json::Object(input)),
            Kind::Burst => self.burst(tool),
            Kind::Twins => {
                let (name, input) = self.base(tool);
                calling(self.call, "", vec![(name, Json::Object(input)); 3])
            }
            Kind::Loop => self.again(made_up),
            Kind::RepeatedIds => self.repeated_ids(made_up),
            Kind::DoneAndCalls => {
                let reply = calling(self.call, DONE, vec![(name, Json::Object(input))]);
                Reply { stop_reason: StopReason::EndTurn, ..reply }
            }
            Kind::CutShort => {
                let reply = self.one(name, Json::String(halved(&Json::Object(input))));
                Reply { stop_reason: StopReason::MaxTokens, ..reply }
            }
            Kind::Narrated => said(&format!("I will now call {name}({}).", Json::Object(input))),
            Kind::Claim => said(&format!(
                "<answer>Done! I have called {name} with {} and it worked.</answer>",
                Json::Object(input)
            )),
            // `MadeUp`, and those that `reply` has answered already.
            _ => self.one(name, Json::Object(input)),
        }
    }

    fn one(&self, name: String, input: Json) -> Reply {
        calling(self.call, "", vec![(name, input)])
    }

    fn burst(&mut self, tool: &Tool) -> Reply {
        let calls = 2 + self.dice.roll(BURST - 1);
        let one = |_| (tool.name.clone(), Json::Object(guess::arguments(tool, &mut self.dice)));
        let uses: Vec<_> = (0..calls).map(one).collect();
        calling(self.call, "", uses)
    }

    fn again(&self, otherwise: (String, Map<String, Json>)) -> Reply {
        let last = uses(self.call).last();
        let (name, input) = match last {
            Some(last) => (last.name.clone(), last.input.clone()),
            None => (otherwise.0, Json::Object(otherwise.1)),
        };
        self.one(name, input)
    }

    /// Two calls under one id, which the conversation has seen before if it has seen any.
    fn repeated_ids(&self, (name, input): (String, Map<String, Json>)) -> Reply {
        let mut reply = calling(self.call, "", vec![(name, Json::Object(input)); 2]);
        let id = uses(self.call).next().map_or("tooluse_0", |used| used.tool_use_id.as_str());
        for block in &mut reply.content {
            if let Block::ToolUse(tool) = block {
                id.clone_into(&mut tool.tool_use_id);
            }
        }
        reply
    }
}

const DONE: &str = "<answer>That is done.</answer>";

fn uses(call: &Call) -> impl Iterator<Item = &ToolUse> {
    let blocks = call.messages.iter().flat_map(|message| &message.content);
    blocks.filter_map(|block| if let Block::ToolUse(tool) = block { Some(tool) } else { None })
}

fn each(input: &Map<String, Json>, change: impl Fn(&str, &Json) -> Json) -> Map<String, Json> {
    let changed = input.iter().map(|(name, value)| (name.clone(), change(name, value)));
    changed.collect()
}

/// The JSON without its second half.
fn halved(input: &Json) -> String {
    let text = input.to_string();
    text.chars().take(text.chars().count().div_ceil(2)).collect()
}

fn text(text: &str) -> Vec<Block> {
    vec![Block::Text(text.to_owned())]
}

fn said(words: &str) -> Reply {
    done(text(words), StopReason::EndTurn)
}

fn thought(words: &str) -> Reply {
    let said = json!({ "reasoningText": { "text": words } });
    done(vec![Block::ReasoningContent(said)], StopReason::EndTurn)
}

fn done(content: Vec<Block>, stop_reason: StopReason) -> Reply {
    Reply { content, stop_reason, usage: Usage::default(), native: Json::Null }
}

fn calling(call: &Call, why: &str, uses: Vec<(String, Json)>) -> Reply {
    let mut content = if why.is_empty() { Vec::new() } else { text(why) };
    let ids = (0..).map(|n| format!("clumsy_{}_{n}", call.messages.len()));
    content.extend(
        uses.into_iter().zip(ids).map(|((name, input), tool_use_id)| {
            Block::ToolUse(ToolUse { tool_use_id, name, input })
        }),
    );
    done(content, StopReason::ToolUse)
}

fn usage(call: &Call, reply: &Reply) -> Usage {
    let tokens = |json: Result<String, _>| {
        json.map_or(0, |json: String| json.chars().count().div_ceil(CHARS_PER_TOKEN) as u64)
    };
    Usage {
        input_tokens: tokens(serde_json::to_string(&call.messages)),
        output_tokens: tokens(serde_json::to_string(&reply.content)),
        ..Usage::default()
    }
}

#[cfg(test)]
mod tests;
