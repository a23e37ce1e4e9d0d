//! Performs one call of a turn under its policy: an earlier answer, the breaker, its turn and place,
//! attempts, the fallback, and what of the result the model reads, in this order.
//!
//! It never decides what comes next, and returns the one event that tells what happened, with all
//! that was ruled on the way.

use std::sync::Arc;
use std::time::Duration;

use craton_core::agent::event::{
    Call, Conduct, Event, Fallback, Outcome, ServedFrom, ToolReturned,
};
use craton_core::agent::tool::{self, Effect, Tool};
use craton_core::policy::breaker::{Ending, Gate};
use craton_core::policy::{Retry, ToolPolicy};
use exec::{ExecError, FunctionError, Invoked};
use tokio::sync::OwnedSemaphorePermit;

use super::breakers::{Known, ToolKey};
use super::cache::{AnswerKey, answer_key};
use super::call::{Heard, cut, failed, is_lost, read, unknown};
use super::{ToolCall, ToolError, doubt};
use crate::{Inner, limits, pending};

/// How much longer than its time-out a call over the network is waited for: its executor knows
/// better whether anything was sent.
const GRACE: Duration = Duration::from_millis(100);

/// A call to perform.
struct Job<'a> {
    inner: &'a Inner,
    tool: &'a Tool,
    call: &'a Call,
    policy: &'a ToolPolicy,
    known: Arc<Known>,
    /// Where its answer is kept, if answers are.
    answer: Option<AnswerKey>,
}

/// Calls a tool. INVARIANT: a `once` call is dispatched again only if no byte of it was sent.
pub(crate) async fn call_tool(
    inner: &Inner,
    tool: &Tool,
    call: &Call,
    policy: &ToolPolicy,
    request: ToolCall,
) -> Event {
    let begun = inner.clock.now();
    let key = ToolKey {
        tenant: request.tenant.clone(),
        function: call.target.clone(),
        tool: call.tool.clone(),
    };
    let keeps = call.effect == Effect::Read && policy.cache_seconds.is_some();
    let answer = keeps.then(|| answer_key(&key, tool, call, &request));
    let job = Job { inner, tool, call, policy, known: inner.desk.of(&key, begun), answer };
    let mut conduct = Conduct { attempts: 0, ..Conduct::default() };
    let heard = job.perform(&request, &mut conduct).await;
    let millis = u64::try_from(inner.clock.now() - begun).unwrap_or(0);
    let worked = millis.saturating_sub(conduct.waited_millis);
    let asked = conduct.attempts + u32::from(conduct.fallback.is_some());
    let cost = Some(inner.tool_cost(&request, asked, worked).await);
    let outcome = match heard {
        Heard::Outcome(outcome) => job.capped(outcome, &mut conduct),
        Heard::Pending(later) => {
            return pending::deferred(inner, call, later, (conduct.fallback, cost));
        }
    };
    let returned = ToolReturned::new(&call.tool_use_id, outcome, millis);
    Event::ToolReturned(ToolReturned { conduct, cost, ..returned })
}

/// What an attempt came to, and whether an earlier one may have taken effect.
struct Tried {
    result: Result<Invoked, ToolError>,
    lost: bool,
}

impl Job<'_> {
    async fn perform(&self, request: &ToolCall, conduct: &mut Conduct) -> Heard {
        let now = self.inner.clock.now();
        let earlier = self.answer.and_then(|key| self.inner.answers.find(&key, now));
        if let Some(found) = earlier.filter(|found| found.fresh) {
            conduct.served = Some(ServedFrom::Cache { age_seconds: found.age_seconds });
            return Heard::Outcome(found.outcome);
        }
        let (gate, pass) = self.known.ask(self.policy, now);
        match gate {
            Gate::Pass => {}
            Gate::Probe => conduct.breaker = Some("half-open".to_owned()),
            Gate::Shut { .. } => {
                conduct.breaker = Some("open".to_owned());
                return self.without_the_tool(request, conduct).await;
            }
        }
        let tried = match self.attempts(request, gate, conduct).await {
            Ok(tried) => tried,
            Err(why) => return Heard::Outcome(self.too_busy(&why)),
        };
        let (heard, ending) = self.heard(&tried);
        pass.ended(ending, self.inner.clock.now());
        let heard = match self.falls_back(&tried) {
            Some(why) => {
                let lost = tried.lost || leaves_doubt(&tried.result);
                self.fall_back(request, (&why, lost), conduct).await.unwrap_or(heard)
            }
            None => heard,
        };
        // Another function's answer is not kept as the tool's.
        if conduct.fallback.is_none() {
            self.keep(&heard);
        }
        heard
    }

    /// Attempts, each in its turn, until one settles it or no further one is allowed; why there was
    /// none at all.
    async fn attempts(
        &self,
        request: &ToolCall,
        gate: Gate,
        conduct: &mut Conduct,
    ) -> Result<Tried, String> {
        let (retry, most) = self.retry(gate);
        let mut place = self.turn(request, conduct).await?;
        let mut lost = false;
        loop {
            conduct.attempts += 1;
            let result = self.attempt(request, conduct.attempts == 1).await;
            drop(place);
            let wait =
                repeats(&result, self.call.effect).filter(|_| conduct.attempts < most).and_then(
                    |wanted| retry.pause_after(conduct.attempts, self.inner.ids.draw(), wanted),
                );
            let Some(wait) = wait else { return Ok(Tried { result, lost }) };
            let (tool, key) = (&self.call.tool, &self.call.key);
            tracing::warn!(tool, attempt = conduct.attempts, key, "calling the tool again");
            tokio::time::sleep(wait).await;
            place = match self.turn(request, conduct).await {
                Ok(place) => place,
                // What the last attempt came to stands.
                Err(_) => return Ok(Tried { result, lost }),
            };
            lost |= leaves_doubt(&result);
        }
    }

    /// A call that tries whether an open breaker may close has one attempt; so has one that has a
    /// fallback, unless its policy says otherwise.
    fn retry(&self, gate: Gate) -> (Retry, u32) {
        let retry = self.policy.retry.unwrap_or_default();
        let falls = self.policy.retry.is_none() && self.policy.fallback.is_some();
        let most = if gate == Gate::Probe || falls { 1 } else { retry.attempts };
        (retry, most)
    }

    async fn attempt(&self, request: &ToolCall, first: bool) -> Result<Invoked, ToolError> {
        let limit = self.limit(&request.function, first);
        let began = self.inner.clock.now();
        let result = within_time(self.inner, request, limit).await;
        let took = self.inner.clock.now() - began;
        if matches!(result, Ok(_) | Err(ToolError::Exec(ExecError::TimedOut(_)))) {
            let took = Duration::from_millis(u64::try_from(took).unwrap_or(0));
            self.known.with_recent(|recent| recent.note(took));
        }
        result
    }

    /// How long one attempt may take; `None` leaves it to the function's own time-out.
    fn limit(&self, function: &str, first: bool) -> Option<Limit> {
        let cap = self.inner.tools.patience(function);
        let remote = cap.is_some();
        if let Some(seconds) = self.policy.timeout_seconds {
            return Some(Limit { time: Duration::from_secs_f64(seconds), remote });
        }
        let cap = cap?;
        // Cutting a call short that may not be repeated would leave it in doubt.
        let adapts = first && self.call.effect.may_repeat();
        let time = if adapts { self.known.with_recent(|recent| recent.limit(cap)) } else { cap };
        Some(Limit { time, remote })
    }

    /// Waits for an attempt's turn and for a place, no longer than the call itself may take.
    async fn turn(
        &self,
        request: &ToolCall,
        conduct: &mut Conduct,
    ) -> Result<Option<OwnedSemaphorePermit>, String> {
        let patience = self.limit(&request.function, false).map(|limit| limit.time);
        let patience = patience.unwrap_or(limits::PLACE_PATIENCE);
        let began = self.inner.clock.now();
        let place = match self.policy.concurrency {
            Some(many) => {
                let place = self.known.places(many).acquire_owned();
                let place = tokio::time::timeout(patience, place).await;
                let busy = format!("all of its {many} places are taken");
                Some(place.ok().and_then(Result::ok).ok_or(busy)?)
            }
            None => None,
        };
        if let Some(rate) = self.policy.calls_per_second {
            let now = self.inner.clock.now();
            let waited = Duration::from_millis(u64::try_from(now - began).unwrap_or(0));
            let left = patience.saturating_sub(waited);
            let wait = self.known.with_pace(|pace| pace.admit(rate, now, left));
            tokio::time::sleep(wait.ok_or(format!("it takes {rate} calls a second"))?).await;
        }
        conduct.waited_millis += u64::try_from(self.inner.clock.now() - began).unwrap_or(0);
        Ok(place)
    }

    fn too_busy(&self, why: &str) -> Outcome {
        let what = format!("{}: {why}", self.call.tool);
        let advice = "nothing was done; try again later";
        Outcome::Error { message: tool::short_error("tool_unavailable", &what, advice) }
    }

    /// What came of the attempts, and what it says of the tool.
    fn heard(&self, tried: &Tried) -> (Heard, Ending) {
        let Job { tool, call, .. } = self;
        let in_doubt = tried.lost && call.effect != Effect::Read;
        match &tried.result {
            Ok(invoked) if !invoked.outcome_known && call.effect != Effect::Read => {
                let why = tool::function_error(&invoked.payload);
                (Heard::Outcome(unknown(call, &why)), Ending::Badly)
            }
            // An earlier attempt may have done what this one says has failed.
            Ok(invoked) if invoked.error.is_some() && in_doubt => {
                let why = tool::function_error(&invoked.payload);
                (Heard::Outcome(unknown(call, &why)), ending_of(invoked))
            }
            Ok(invoked) => {
                let heard = read(self.inner, tool, call, invoked);
                let ending = match (&heard, ending_of(invoked)) {
                    (
                        Heard::Outcome(
                            Outcome::Error { .. }
                            | Outcome::Failure { .. }
                            | Outcome::Unknown { .. },
                        ),
                        Ending::Well,
                    ) if invoked.error.is_none() => Ending::Badly,
                    (_, ending) => ending,
                };
                (heard, ending)
            }
            Err(error) if in_doubt && !is_lost(error) => {
                (Heard::Outcome(unknown(call, &error.to_string())), failure(error))
            }
            Err(error) => (Heard::Outcome(failed(call, error)), failure(error)),
        }
    }

    /// Why the fallback is asked, if it is: the tool timed out, broke or is away. Never for a call that may
    /// have taken effect and may not be repeated.
    fn falls_back(&self, tried: &Tried) -> Option<String> {
        self.policy.fallback.as_ref()?;
        let may = self.call.effect.may_repeat();
        match &tried.result {
            Ok(invoked) if !invoked.outcome_known && may => {
                Some(tool::function_error(&invoked.payload))
            }
            Err(error @ ToolError::Exec(ExecError::Lost(_) | ExecError::TimedOut(_))) if may => {
                Some(error.to_string())
            }
            Err(error @ ToolError::Exec(ExecError::NotSent(_))) => Some(error.to_string()),
            Ok(_) | Err(_) => None,
        }
    }

    /// Sends the same event to the other function, once, for this reason; `lost` is whether the tool
    /// may have taken it.
    async fn fall_back(
        &self,
        request: &ToolCall,
        (why, lost): (&str, bool),
        conduct: &mut Conduct,
    ) -> Option<Heard> {
        let function = self.policy.fallback.clone()?;
        tracing::warn!(tool = self.call.tool, function, why, "asking the tool's fallback");
        conduct.fallback = Some(Fallback { function: function.clone(), why: why.to_owned() });
        let request = ToolCall { function, ..request.clone() };
        let limit = self.limit(&request.function, false);
        let result = within_time(self.inner, &request, limit).await;
        Some(self.heard(&Tried { result, lost }).0)
    }

    /// While the breaker is open: an earlier answer, the fallback's, the policy's own, else an error.
    ///
    /// INVARIANT: a call that changes something is answered by whoever took it, so the policy's words
    /// are an error there.
    async fn without_the_tool(&self, request: &ToolCall, conduct: &mut Conduct) -> Heard {
        let now = self.inner.clock.now();
        if let Some(found) = self.answer.and_then(|key| self.inner.answers.find(&key, now)) {
            let age_seconds = found.age_seconds;
            conduct.served = Some(ServedFrom::Stale { age_seconds });
            return Heard::Outcome(aged(found.outcome, age_seconds));
        }
        if let Some(heard) = self.fall_back(request, ("its breaker is open", false), conduct).await
        {
            return heard;
        }
        let words = self.policy.static_response.as_deref();
        if let (Some(body), Effect::Read) = (words, self.call.effect) {
            conduct.served = Some(ServedFrom::Policy);
            return Heard::Outcome(answered(body.to_owned()));
        }
        let what = format!("{} failed too often lately and is left alone", self.call.tool);
        let words = words.unwrap_or("try again later, or tell the user");
        let advice = format!("it was not called; {words}");
        let message = tool::short_error("circuit_open", &what, &advice);
        Heard::Outcome(Outcome::Error { message })
    }

    fn keep(&self, heard: &Heard) {
        let (Some(key), Some(seconds)) = (self.answer, self.policy.cache_seconds) else { return };
        if let Heard::Outcome(outcome @ Outcome::Answered { .. }) = heard {
            self.inner.answers.keep(key, outcome, seconds, self.inner.clock.now());
        }
    }

    /// No more of a result than the policy lets the model read.
    fn capped(&self, mut outcome: Outcome, conduct: &mut Conduct) -> Outcome {
        let most = self.policy.result_bytes.unwrap_or(usize::MAX);
        let most = match self.call.effect {
            Effect::Read => most,
            // It may be longer than a turn takes.
            _ => most.min(self.inner.turn.tool_answer_bytes),
        };
        conduct.truncated_from = cut(&mut outcome, most);
        outcome
    }
}

/// How long an attempt may take, and whether it goes over the network.
#[derive(Clone, Copy)]
struct Limit {
    time: Duration,
    remote: bool,
}

async fn within_time(
    inner: &Inner,
    request: &ToolCall,
    limit: Option<Limit>,
) -> Result<Invoked, ToolError> {
    let Some(Limit { time, remote }) = limit else { return doubt::send(inner, request).await };
    let request = ToolCall { timeout: Some(time), ..request.clone() };
    let sent = doubt::send(inner, &request);
    // A function's time begins when it has its place, which its executor alone sees.
    if !remote {
        return sent.await;
    }
    match tokio::time::timeout(time + GRACE, sent).await {
        Ok(result) => result,
        Err(_) => Err(ExecError::TimedOut(time).into()),
    }
}

/// Whether another attempt may do better and can do no harm, and how long the tool wants to be left
/// alone before it.
fn repeats(result: &Result<Invoked, ToolError>, effect: Effect) -> Option<Option<Duration>> {
    match result {
        Ok(Invoked { outcome_known: false, retry_after, .. }) => {
            effect.may_repeat().then_some(*retry_after)
        }
        // A function that threw; one that may be repeated is given another chance.
        Ok(Invoked { error: Some(FunctionError::Unhandled), .. }) => {
            effect.may_repeat().then_some(None)
        }
        // It refused, and said when to come back.
        Ok(Invoked { error: Some(FunctionError::Handled), retry_after, .. }) => {
            retry_after.map(Some).filter(|_| effect.may_repeat())
        }
        Ok(Invoked { error: None, .. }) => None,
        Err(ToolError::Exec(ExecError::NotSent(_))) => Some(None),
        Err(ToolError::Exec(ExecError::Throttled(throttled))) => Some(throttled.retry_after),
        Err(ToolError::Exec(ExecError::Lost(_) | ExecError::TimedOut(_))) => {
            effect.may_repeat().then_some(None)
        }
        Err(_) => None,
    }
}

fn leaves_doubt(result: &Result<Invoked, ToolError>) -> bool {
    match result {
        Ok(invoked) => !invoked.outcome_known,
        Err(error) => is_lost(error),
    }
}

/// An answer with an error status is the tool's own word; an exception is its failure.
fn ending_of(invoked: &Invoked) -> Ending {
    match invoked.error {
        _ if !invoked.outcome_known => Ending::Badly,
        Some(FunctionError::Unhandled) => Ending::Badly,
        Some(FunctionError::Handled) | None => Ending::Well,
    }
}

fn failure(error: &ToolError) -> Ending {
    match error {
        ToolError::Exec(ExecError::NotSent(_) | ExecError::Lost(_) | ExecError::TimedOut(_)) => {
            Ending::Badly
        }
        // Its own queue, or the configuration.
        _ => Ending::Unsaid,
    }
}

fn answered(body: String) -> Outcome {
    Outcome::Answered {
        body,
        session_attributes: None,
        prompt_session_attributes: None,
        ignored: Vec::new(),
    }
}

/// The model is told that an answer is old.
fn aged(mut outcome: Outcome, seconds: u64) -> Outcome {
    if let Outcome::Answered { body, .. } = &mut outcome {
        body.push_str(&format!(
            "\n(this is the answer of {seconds} s ago: the tool cannot be asked now)"
        ));
    }
    outcome
}
