//! Whether a tool does one thing, or whatever its arguments say.

use craton_core::agent::tool::Effect;

use super::super::subject::{Parameter, Tool};
use super::super::words::{self, Nature};
use super::parameters::listed;
use super::{FREE_FORM, Finding, GOD_TOOL, Severity};

/// Arguments that are programs whatever is said of them.
const PROGRAMS: &[&str] = &[
    "sql",
    "command",
    "cmd",
    "shell",
    "script",
    "bash",
    "powershell",
    "eval",
    "shellcmd",
    "commandline",
];
/// Tools that run what they are given, and what they run it on.
const RUNS: &[&str] = &["query", "run", "execute", "eval", "evaluate", "exec"];
const ENGINES: &[&str] =
    &["sql", "database", "db", "graphql", "warehouse", "code", "script", "python"];
const ADDRESSES: &[&str] = &["url", "uri", "endpoint", "host", "hostname", "webhook", "callback"];
/// Verbs with which an address is gone to.
const GOES_THERE: &[&str] = &[
    "fetch", "get", "read", "download", "load", "open", "call", "request", "ping", "crawl",
    "scrape", "browse", "import", "check", "invoke", "post", "send", "visit", "http", "curl",
    "scan",
];
const SELECTORS: &[&str] =
    &["action", "operation", "op", "verb", "command", "subcommand", "method"];

/// Arguments that may be harmless, by their last word, and what in their description says that they
/// are not.
struct Perhaps {
    words: &'static [&'static str],
    cues: &'static [&'static str],
    severity: Severity,
    is: &'static str,
}

const PERHAPS: &[Perhaps] = &[
    Perhaps {
        words: &["query", "statement", "filter", "expression"],
        cues: &["sql", "graphql", "cypher", "sparql", "jql", "soql", "promql"],
        severity: Severity::Error,
        is: "a program that the model writes",
    },
    Perhaps {
        words: &["code", "program", "snippet"],
        cues: &[
            "python",
            "javascript",
            "source",
            "snippet",
            "program",
            "execute",
            "executed",
            "script",
        ],
        severity: Severity::Error,
        is: "a program that the model writes",
    },
    Perhaps {
        words: &["payload", "json", "body", "data", "arguments", "params", "object", "input"],
        cues: &["json"],
        severity: Severity::Warning,
        is: "a document of which nothing is declared",
    },
    Perhaps {
        words: &["path", "file", "filename", "filepath", "directory"],
        cues: &["file", "files", "filesystem", "disk", "directory", "folder", "path"],
        severity: Severity::Warning,
        is: "a path that the model chooses",
    },
];

pub(super) fn examine(tool: &Tool, found: &mut Vec<Finding>) {
    let mut selects = false;
    for parameter in tool.parameters.iter().filter(|parameter| !parameter.is_nested()) {
        match selector(tool, parameter, found) {
            true => selects = true,
            false => free_form(tool, parameter, found),
        }
    }
    if !selects {
        several_verbs(tool, found);
    }
    if tool.api.as_ref().is_some_and(|api| api.open) && tool.changes() {
        let what = "its body takes members that nobody declared";
        let fix = format!(
            "in {}, requestBody: declare \"properties\", and \"additionalProperties\": false",
            tool.at()
        );
        found.push(tool.finding(&FREE_FORM, Severity::Warning, what, fix));
    }
}

/// An argument that chooses what the tool does.
fn selector(tool: &Tool, parameter: &Parameter, found: &mut Vec<Finding>) -> bool {
    let name = words::of_name(parameter.name());
    let selects = name.last().is_some_and(|last| SELECTORS.contains(&last.as_str()))
        && parameter.is("string");
    if !selects {
        return false;
    }
    let Some(choices) = parameter.choices().or_else(|| listed(parameter.description())) else {
        // Without a list it may be a free text, of which the other rule speaks.
        if ["action", "operation", "op", "verb"].contains(&parameter.path.as_str()) {
            let what = format!("{} chooses what it does", parameter.path);
            found.push(tool.finding(&GOD_TOOL, Severity::Warning, what, split(tool, &[])));
            return true;
        }
        return false;
    };
    // A method may be of payment or of contact: `email` is no action there.
    let noun = |choice: &String| {
        name.last().is_some_and(|last| last == "method") && words::is_noun_too(choice)
    };
    let of =
        |nature| choices.iter().filter(|one| !noun(one) && chosen_nature(one) == nature).count();
    let (reads, writes) = (of(Nature::Reads), of(Nature::Writes));
    let severity = match (reads, writes) {
        (1.., 1..) => Severity::Error,
        (_, 2..) => Severity::Warning,
        _ => return false,
    };
    let what = match severity {
        Severity::Error => {
            format!("{} mixes what looks with what acts: {}", parameter.path, choices.join(", "))
        }
        Severity::Warning | Severity::Advice => {
            format!("{} chooses among {}", parameter.path, choices.join(", "))
        }
    };
    found.push(tool.finding(&GOD_TOOL, severity, what, split(tool, &choices)));
    true
}

fn chosen_nature(choice: &str) -> Nature {
    let words = words::of_name(choice);
    words.first().map_or(Nature::Unknown, |word| words::nature_of_word(word))
}

fn split(tool: &Tool, choices: &[String]) -> String {
    let object = words::of_name(&tool.own)
        .into_iter()
        .rev()
        .find(|word| !words::is_verb(word) && !words::is_vague_object(word));
    let object = object.unwrap_or_else(|| words::stem(&tool.group.to_lowercase()));
    let names = choices.iter().take(4).map(|choice| format!("{choice}_{object}").to_lowercase());
    let names = match choices {
        [] => format!("get_{object}, update_{object}, …"),
        _ => names.collect::<Vec<_>>().join(", "),
    };
    format!("split {} into tools of one action each, such as {names}", tool.at())
}

fn free_form(tool: &Tool, parameter: &Parameter, found: &mut Vec<Finding>) {
    let open = parameter.is("string")
        && parameter.choices().is_none()
        && parameter.schema["pattern"].is_null()
        && !is_bounded_by_policy(tool, parameter);
    if !open || listed(parameter.description()).is_some() {
        return;
    }
    let Some((severity, is)) = freedom(tool, parameter) else { return };
    let path = &parameter.path;
    let fix = format!(
        "in {}, {path}: take the values that it stands for as parameters of their own, or bound it \
         by \"enum\" or \"pattern\"",
        tool.at()
    );
    found.push(tool.finding(&FREE_FORM, severity, format!("{path} is {is}"), fix));
}

fn freedom(tool: &Tool, parameter: &Parameter) -> Option<(Severity, &'static str)> {
    let (name, tool_name) = (words::of_name(parameter.name()), tool.words());
    let last = name.last()?.as_str();
    if name.iter().any(|word| PROGRAMS.contains(&word.as_str())) && !is_identifier(last) {
        return Some((Severity::Error, "a program that the model writes"));
    }
    let said = words::of_text(parameter.description());
    let runs = tool_name.first().is_some_and(|verb| RUNS.contains(&verb.as_str()))
        && tool_name.iter().any(|word| ENGINES.contains(&word.as_str()));
    let perhaps = PERHAPS.iter().find(|one| one.words.contains(&last));
    if let Some(Perhaps { cues, severity, is, .. }) = perhaps {
        let program = *severity == Severity::Error && runs;
        let told = said.iter().any(|word| cues.contains(&word.as_str()));
        return (program || told || parameter.description().contains("SELECT"))
            .then_some((*severity, *is));
    }
    let goes = tool_name.first().is_some_and(|verb| GOES_THERE.contains(&verb.as_str()));
    (goes && ADDRESSES.contains(&last))
        .then_some((Severity::Warning, "an address that the model chooses"))
}

/// `script_id` and `command_name` name a program that stands elsewhere.
fn is_identifier(last: &str) -> bool {
    ["id", "name", "number", "key", "type", "ref", "status"].contains(&last)
}

fn is_bounded_by_policy(tool: &Tool, parameter: &Parameter) -> bool {
    let schema = tool.policy.arguments.schema.as_ref();
    schema.is_some_and(|bounds| bounds.schema()["properties"][parameter.name()].is_object())
}

/// `manage_orders`, `get_or_create`, "Creates, updates or deletes an order".
fn several_verbs(tool: &Tool, found: &mut Vec<Finding>) {
    let name = tool.words();
    let joined = name.windows(3).any(|three| {
        ["and", "or", "then"].contains(&three[1].as_str())
            && words::is_verb(&three[0])
            && words::is_verb(&three[2])
    });
    let managed =
        name.first().is_some_and(|word| word == "manage" || word == "crud" || word == "admin")
            && name.len() > 1;
    let verbs = opening_verbs(&tool.description);
    let natures: Vec<Nature> = verbs.iter().map(|verb| words::nature_of_word(verb)).collect();
    let mixed = natures.contains(&Nature::Reads) && natures.contains(&Nature::Writes);
    let many = natures.iter().filter(|nature| **nature == Nature::Writes).count() > 1;
    let what = match () {
        () if mixed || many => format!("its description has several actions: {}", verbs.join(", ")),
        () if joined || managed => format!("{:?} is several actions", tool.own),
        () => return,
    };
    // A tool that says of itself that it only looks keeps that promise or breaks another rule.
    let severity = if mixed && tool.policy.effect != Some(Effect::Read) {
        Severity::Error
    } else {
        Severity::Warning
    };
    found.push(tool.finding(&GOD_TOOL, severity, what, split(tool, &verbs)));
}

/// The verbs that a description begins with: `creates, updates or deletes` an order.
fn opening_verbs(said: &str) -> Vec<String> {
    let mut verbs = Vec::new();
    let mut joined = true;
    for word in said.split_whitespace() {
        let bare = word.trim_end_matches(',').to_lowercase();
        if ["and", "or", "and/or"].contains(&bare.as_str()) {
            joined = true;
            continue;
        }
        if !joined || words::nature_of_word(&bare) == Nature::Unknown {
            break;
        }
        let plain = bare.strip_suffix('s').filter(|plain| words::is_verb(plain)).unwrap_or(&bare);
        verbs.push(plain.to_owned());
        joined = word.ends_with(',');
    }
    verbs
}
