//! `craton explain CR0007`: what is behind the number at the end of a message.
//!
//! The pages are docs/errors, carried by the binary, so that they fit its messages and need no
//! network. A number keeps its meaning for ever; one that is no longer used keeps its page out.

use clap::Parser;

use super::Done;
use crate::telemetry::say;

#[derive(Parser)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The number at the end of a message. Default: a list of all.
    #[arg(value_name = "CODE")]
    code: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  craton explain CR0013                  what happened, why, and what to do
  craton explain                         all numbers";

macro_rules! pages {
    ($($code:literal),* $(,)?) => {
        &[$(($code, include_str!(concat!("../../../../docs/errors/", $code, ".md")))),*]
    };
}

/// Code and page, in order. `cargo xtask tidy` holds them against the messages.
const PAGES: &[(&str, &str)] = pages![
    "CR0001", "CR0002", "CR0003", "CR0004", "CR0005", "CR0006", "CR0007", "CR0008", "CR0009",
    "CR0010", "CR0011", "CR0012", "CR0013", "CR0014", "CR0015", "CR0016", "CR0017", "CR0018",
    "CR0019", "CR0020", "CR0021", "CR0022", "CR0023", "CR0024", "CR0025", "CR0026", "CR0027",
    "CR0028", "CR0029", "CR0030", "CR0031", "CR0032", "CR0033", "CR0034", "CR0035", "CR0036",
    "CR0037", "CR0038", "CR0039", "CR0041", "CR0045",
];

pub(crate) fn run(args: &Args) -> Done {
    let Some(asked) = &args.code else {
        PAGES.iter().for_each(|(code, page)| say(&format!("{code}  {}", title(page))));
        return Ok(());
    };
    let page = find(asked).ok_or_else(|| {
        format!("there is no page of {asked}; `craton explain` lists all numbers (CR0033)")
    })?;
    say(page.trim_end());
    Ok(())
}

/// `CR0007`, as it stands in a message or as one types it: `cr7`, `7`, `(CR0007)`.
fn find(asked: &str) -> Option<&'static str> {
    let bare = asked.trim_matches(['(', ')']).to_ascii_uppercase();
    let number: u32 = bare.strip_prefix("CR").unwrap_or(&bare).parse().ok()?;
    let code = format!("CR{number:04}");
    PAGES.iter().find(|(known, _)| *known == code).map(|(_, page)| *page)
}

/// The first line of a page, without its number.
fn title(page: &'static str) -> &'static str {
    let line = page.lines().next().unwrap_or_default();
    line.split_once(": ").map_or(line, |(_, title)| title)
}

#[cfg(test)]
mod tests {
    use expect_test::expect_file;

    use super::*;

    #[test]
    fn a_number_is_found_however_it_is_typed() {
        for asked in ["CR0007", "cr0007", "(CR0007)", "7", "CR7"] {
            assert!(find(asked).is_some_and(|page| page.starts_with("# CR0007: ")), "{asked}");
        }
        for asked in ["CR9999", "seven", "", "CR-1"] {
            assert_eq!(find(asked), None, "{asked}");
        }
    }

    #[test]
    fn every_page_says_what_happened_why_and_what_to_do() {
        for (code, page) in PAGES {
            assert!(page.starts_with(&format!("# {code}: ")), "{code}");
            for part in ["**What happened.** ", "**Why.** ", "**What to do.** "] {
                assert_eq!(page.matches(part).count(), 1, "{code}: {part}");
            }
        }
    }

    #[test]
    fn the_list_has_every_page() {
        let head = "# Numbers of messages\n\n\
                    A message for whoever runs Craton ends with a number; `craton explain CR0007` prints its page.\n\n\
                    | number | what happened |\n|---|---|\n";
        let row = |(code, page): &(&str, &'static str)| {
            format!("| [{code}]({code}.md) | {} |\n", title(page))
        };
        let list = format!("{head}{}", PAGES.iter().map(row).collect::<String>());
        expect_file!["../../../../docs/errors/README.md"].assert_eq(&list);
    }
}
