//! A budget without room, as an intervention: AWS's guardrail trace has no policy of costs, so the
//! assessment stands beside it as an event of its own.

use craton_core::budget::{Exhausted, Unit};
use serde_json::json;
use wire::bedrock_agent_runtime::types::{
    CustomOrchestrationTrace, CustomOrchestrationTraceEvent, GuardrailAction, GuardrailTrace, Trace,
};

use super::View;

impl View<'_> {
    pub(super) fn over_budget(&self, exhausted: &Exhausted) -> Vec<Trace> {
        let amount = |amount: i64| match exhausted.unit {
            Unit::Tokens => json!(amount),
            Unit::Cost => json!(amount as f64 / craton_core::cost::Money::DOLLAR.0 as f64),
        };
        let assessment = json!({"costPolicy": {
            "action": "BLOCKED",
            "scope": exhausted.scope,
            "unit": if exhausted.unit == Unit::Cost { "dollars" } else { "tokens" },
            "limit": amount(exhausted.cap),
            "spent": amount(exhausted.spent),
            "needed": amount(exhausted.needed),
            "message": exhausted.told(),
        }});
        let trace_id = self.trace_id(self.turn.steps + 1);
        let event = CustomOrchestrationTraceEvent { text: Some(assessment.to_string()) };
        vec![
            Trace::GuardrailTrace(GuardrailTrace {
                action: Some(GuardrailAction::Intervened),
                trace_id: trace_id.clone(),
                ..GuardrailTrace::default()
            }),
            Trace::CustomOrchestrationTrace(CustomOrchestrationTrace {
                event: Some(event),
                trace_id,
            }),
        ]
    }
}
