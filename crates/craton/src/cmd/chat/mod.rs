//! `craton chat`: a conversation with an agent in the terminal, over AWS's own `InvokeAgent`.
//!
//! `partner` finds the agent and alias that were named, `input` reads what the person types,
//! `turn` asks the server and follows its stream, `steps` reads the trace, `hand_off` asks the
//! person for results that the agent wants from its client, and `screen` shows all of it. Nothing
//! here knows more of the server than a client of AWS would, but for `/trace`.

mod advice;
mod hand_off;
mod input;
mod limits;
pub(crate) mod partner;
mod screen;
mod steps;
mod turn;

use clap::Parser;
use engine::env::{Ids as _, System};
use serde_json::json;

use self::input::{Input, Line};
use self::partner::Partner;
use self::screen::Screen;
use self::turn::Ended;
use super::Done;
use crate::client::Client;
use crate::endpoint::Endpoint;
use crate::stream::Failure;

#[derive(Parser)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The agent's name or id.
    agent: String,
    /// Name or id of an alias. Default: the prepared draft, `TSTALIASID`.
    #[arg(long)]
    alias: Option<String>,
    /// Goes on with a session. Default: a new one.
    #[arg(long, value_name = "ID", value_parser = session_id)]
    session: Option<String>,
    /// One turn with this text; its answer alone goes to standard output.
    #[arg(long, value_name = "TEXT")]
    message: Option<String>,
    #[command(flatten)]
    endpoint: Endpoint,
}

const EXAMPLES: &str = "\
Examples:
  craton chat support                             the draft of the agent named support
  craton chat support --alias live                what its alias live leads to
  craton chat support --message \"Where is A-1001?\"   one turn, for scripts
  craton chat support < questions.txt             one turn for each line";

// AWS: [0-9a-zA-Z._:-]+ of 2 to 100 characters (API reference, InvokeAgent).
fn session_id(given: &str) -> Result<String, String> {
    let known = |c: char| c.is_ascii_alphanumeric() || "._:-".contains(c);
    if (2..=100).contains(&given.len()) && given.chars().all(known) {
        return Ok(given.to_owned());
    }
    Err("a session's id is 2 to 100 letters, digits, dots, colons, underscores or dashes (CR0031)"
        .to_owned())
}

pub(crate) fn run(args: Args) -> Done {
    super::wait_for(async move {
        let client = args.endpoint.client("bedrock-agent-runtime")?;
        let partner = partner::find(&client, &args.agent, args.alias.as_deref()).await?;
        Chat::new(client, partner, args.session).hold(args.message, &[]).await
    })
}

/// A conversation: who speaks with whom, and where it is shown.
pub(crate) struct Chat {
    client: Client,
    partner: Partner,
    session: String,
    screen: Screen,
    input: Input,
    /// The latest run, by the server's own name.
    run: Option<String>,
    told_of_embedded: bool,
}

enum Command<'a> {
    New,
    Trace,
    Quit,
    Unknown(&'a str),
    Say(&'a str),
    Nothing,
}

impl<'a> Command<'a> {
    /// A line of a single word that begins with a slash is a command.
    fn of(line: &'a str) -> Self {
        match line.trim() {
            "" => Command::Nothing,
            "/new" => Command::New,
            "/trace" => Command::Trace,
            "/quit" => Command::Quit,
            word if word.starts_with('/') && !word[1..].contains([' ', '/']) => {
                Command::Unknown(word)
            }
            text => Command::Say(text),
        }
    }
}

impl Chat {
    pub(crate) fn new(client: Client, partner: Partner, session: Option<String>) -> Self {
        let session = session.unwrap_or_else(|| System::default().fresh());
        let (screen, input) = (Screen::new(), Input::new());
        Chat { client, partner, session, screen, input, run: None, told_of_embedded: false }
    }

    /// One turn, or turns until the person leaves. Where nobody watches, a turn that failed makes
    /// the whole a failure.
    pub(crate) async fn hold(mut self, message: Option<String>, suggested: &[&str]) -> Done {
        if let Some(text) = message {
            return match self.say(&text).await {
                Spoken::Answered => Ok(()),
                Spoken::Failed => {
                    Err("the turn failed; what to do is said above (CR0030)".to_owned())
                }
                Spoken::Left => Err("left before the answer came (CR0030)".to_owned()),
            };
        }
        if self.input.is_person() {
            self.greet(suggested);
        }
        let (mut turns, mut failed) = (0, 0);
        loop {
            let line = match self.input.line("you> ").await? {
                Line::Text(line) => line,
                Line::Interrupted if self.input.is_person() => {
                    self.screen.note("/quit or Ctrl-D ends the chat");
                    continue;
                }
                Line::Interrupted => {
                    return Err("interrupted before the input ended (CR0030)".to_owned());
                }
                Line::End => break,
            };
            match Command::of(&line) {
                Command::Nothing => {}
                Command::Quit => break,
                Command::New => self.start_over(),
                Command::Trace => self.show_trace().await,
                Command::Unknown(word) => self.no_command(word),
                Command::Say(text) => {
                    turns += 1;
                    match self.say(text).await {
                        Spoken::Answered => {}
                        Spoken::Left if self.input.is_person() => {}
                        Spoken::Left => {
                            return Err("left before the answer came (CR0030)".to_owned());
                        }
                        Spoken::Failed => failed += 1,
                    }
                }
            }
        }
        if failed > 0 && !self.input.is_person() {
            return Err(format!("{failed} of {turns} turns failed (CR0030)"));
        }
        Ok(())
    }

    fn greet(&mut self, suggested: &[&str]) {
        let Partner { name, alias_name, .. } = &self.partner;
        self.screen.note(&format!("{name}, {alias_name}; session {}", self.session));
        self.screen.note("/new starts over, /trace shows the latest run, /quit or Ctrl-D ends");
        if !suggested.is_empty() {
            self.screen.note("try:");
        }
        for words in suggested {
            self.screen.note(&format!("  {words}"));
        }
    }

    fn no_command(&mut self, word: &str) {
        let known = "/new, /trace and /quit";
        self.screen.note(&format!("there is no command {word}; there are {known}"));
    }

    fn start_over(&mut self) {
        self.session = System::default().fresh();
        self.screen.note(&format!("a new session: {}", self.session));
    }

    async fn show_trace(&mut self) {
        let Some(run) = &self.run else {
            return self.screen.note("there is no run to show; say something first");
        };
        match self.client.get("craton", &format!("/_craton/v1/runs/{run}")).await {
            Ok(view) => super::trace::lines(&view, false).iter().for_each(|l| self.screen.line(l)),
            Err(message) => self.screen.complain(&message),
        }
    }

    /// One turn to its end, with the person's results in between where the agent asks for them.
    async fn say(&mut self, text: &str) -> Spoken {
        let mut body = json!({"inputText": text});
        // What is said of a run from here on is said of this turn's.
        self.run = None;
        loop {
            let ended = self.turn(body).await;
            self.screen.end_turn();
            match ended {
                Ok(Ended::Answered) => return Spoken::Answered,
                Ok(Ended::Left) => {
                    let found = self.run.as_deref().map_or(String::new(), |run| {
                        format!("; `craton trace {run}` shows what it does")
                    });
                    self.screen.note(&format!("the turn goes on in the server{found}"));
                    return Spoken::Left;
                }
                Ok(Ended::HandedOff(control)) => match self.results(&control).await {
                    Ok(results) => body = results,
                    Err(message) => {
                        self.screen.complain(&message);
                        return Spoken::Failed;
                    }
                },
                Err(failure) => {
                    self.complain(&failure);
                    return Spoken::Failed;
                }
            }
        }
    }

    fn complain(&mut self, failure: &Failure) {
        self.screen.complain(&failure.to_string());
        let advice = advice::on(failure, self.run.as_deref());
        self.screen.note(&advice);
    }
}

/// How a turn went, for whoever counts.
enum Spoken {
    Answered,
    Failed,
    Left,
}
