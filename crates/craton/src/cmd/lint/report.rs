//! Findings as a person reads them, and as a program does: with a score of each tool on each line
//! of the checklist.

use serde_json::{Map, Value as Json, json};

use super::look::Seen;
use super::rules::{Finding, Item, Severity};
use super::subject::{Subject, Tool};

/// Points of a line of which nothing is to be said.
const CLEAN: u8 = 3;

/// What was found, of whom.
pub(super) struct Report<'a> {
    pub(super) seen: &'a Seen,
    pub(super) subject: &'a Subject,
    pub(super) findings: &'a [Finding],
}

impl Item {
    fn heading(self) -> &'static str {
        match self {
            Item::Name => "name",
            Item::WhenToUse => "when",
            Item::Parameters => "params",
            Item::RequiredAndEnums => "enums",
            Item::Role => "role",
            Item::Idempotency => "repeat",
            Item::Answers => "answers",
            Item::HandOff => "hand-off",
            Item::Scope => "scope",
            Item::Trust => "trust",
        }
    }
}

impl Severity {
    fn points(self) -> u8 {
        match self {
            Severity::Error => 0,
            Severity::Warning => 1,
            Severity::Advice => 2,
        }
    }

    fn mark(self) -> &'static str {
        match self {
            Severity::Error => "ERROR ",
            Severity::Warning => "warn  ",
            Severity::Advice => "advice",
        }
    }
}

impl Report<'_> {
    pub(super) fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }

    /// By the worst that was found; nothing where the tool cannot be judged.
    fn points(&self, tool: &Tool, item: Item) -> Option<u8> {
        let of = self
            .findings
            .iter()
            .filter(|finding| finding.rule.item == item && finding.tools.contains(&tool.name));
        let worst = of.map(|finding| finding.severity.points()).min();
        match worst {
            Some(points) => Some(points),
            None => item.applies(tool).then_some(CLEAN),
        }
    }

    fn sum(&self, tool: &Tool) -> (u32, u32) {
        let points: Vec<u8> =
            Item::ALL.iter().filter_map(|item| self.points(tool, *item)).collect();
        let most = points.len() * usize::from(CLEAN);
        (points.iter().map(|one| u32::from(*one)).sum(), u32::try_from(most).unwrap_or(u32::MAX))
    }

    pub(super) fn lines(&self) -> Vec<String> {
        let Report { seen, subject, findings } = self;
        let tools = counted(subject.tools.len(), "tool");
        let mut lines =
            vec![format!("{} ({}), version {}: {tools}", seen.name, seen.id, seen.version)];
        for finding in *findings {
            let of =
                if finding.tools.is_empty() { seen.name.clone() } else { finding.tools.join(", ") };
            lines.push(String::new());
            lines.push(format!(
                "{}  {}  {of}: {}",
                finding.severity.mark(),
                finding.rule.id,
                finding.what
            ));
            lines.push(format!("        why: {}", finding.rule.why));
            lines.push(format!("        fix: {}", finding.fix));
        }
        if !subject.tools.is_empty() {
            lines.push(String::new());
            lines.extend(self.table());
        }
        lines.push(String::new());
        lines.extend(self.unread().map(|what| format!("not judged: {what}")));
        lines.push(format!(
            "{}, {}, {}",
            counted(self.count(Severity::Error), "error"),
            counted(self.count(Severity::Warning), "warning"),
            match self.count(Severity::Advice) {
                1 => "1 piece of advice".to_owned(),
                many => format!("{many} pieces of advice"),
            }
        ));
        lines
    }

    /// 3 is nothing to say, 2 advice, 1 a warning, 0 an error.
    fn table(&self) -> Vec<String> {
        let names = self.subject.tools.iter().map(|tool| tool.name.chars().count());
        let width = names.max().unwrap_or_default();
        let headings = Item::ALL.map(Item::heading);
        let mut lines = vec![format!("{:width$}  {}  score", "", headings.join("  "))];
        for tool in &self.subject.tools {
            let cells = Item::ALL.map(|item| {
                let points =
                    self.points(tool, item).map_or_else(|| "-".to_owned(), |p| p.to_string());
                let width = item.heading().len();
                format!("{points:>width$}")
            });
            let (sum, most) = self.sum(tool);
            lines.push(format!("{:width$}  {}  {sum}/{most}", tool.name, cells.join("  ")));
        }
        lines
    }

    fn unread(&self) -> impl Iterator<Item = &String> {
        self.seen.unread.iter().chain(&self.subject.unread)
    }

    pub(super) fn json(&self) -> Json {
        let seen = self.seen;
        json!({
            "agent": {"id": seen.id, "name": seen.name, "version": seen.version},
            "tools": self.subject.tools.iter().map(|tool| self.scored(tool)).collect::<Vec<_>>(),
            "findings": self.findings.iter().map(finding).collect::<Vec<_>>(),
            "notJudged": self.unread().collect::<Vec<_>>(),
            "errors": self.count(Severity::Error),
            "warnings": self.count(Severity::Warning),
            "advice": self.count(Severity::Advice),
        })
    }

    fn scored(&self, tool: &Tool) -> Json {
        let items: Map<String, Json> = Item::ALL
            .iter()
            .map(|item| {
                let name = json!(item).as_str().unwrap_or_default().to_owned();
                (name, json!(self.points(tool, *item)))
            })
            .collect();
        let (sum, most) = self.sum(tool);
        json!({
            "tool": tool.name,
            "actionGroup": tool.group,
            "name": tool.own,
            "function": tool.function,
            "items": items,
            "score": sum,
            "of": most,
        })
    }
}

fn finding(finding: &Finding) -> Json {
    json!({
        "rule": finding.rule.id,
        "item": finding.rule.item,
        "severity": finding.severity,
        "tools": finding.tools,
        "what": finding.what,
        "why": finding.rule.why,
        "fix": finding.fix,
    })
}

fn counted(many: usize, what: &str) -> String {
    if many == 1 { format!("1 {what}") } else { format!("{many} {what}s") }
}
