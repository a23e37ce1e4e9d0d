//! What a model costs, by the names that lead to it: its provider's own, else the client's.

use craton_core::cost::Money;

use crate::Inner;

/// The most that a call costs, whichever model answers: its own, those named with it, or those that
/// the model map lets stand in. `None` where nobody knows.
pub(super) fn at_most(
    inner: &Inner,
    (id, others): (&str, &[String]),
    bytes: u64,
    output: u32,
) -> Option<Money> {
    let rule = inner.models.resolve(id).ok().and_then(|resolved| resolved.rule);
    let stand_ins = rule.iter().flat_map(|(_, rule)| &rule.fallback);
    let all = std::iter::once(id).chain(others.iter().chain(stand_ins).map(String::as_str));
    all.map(|id| of_one(inner, id, bytes, output))
        .try_fold(Money::ZERO, |most, cost| Some(most.max(cost?)))
}

fn of_one(inner: &Inner, id: &str, bytes: u64, output: u32) -> Option<Money> {
    let resolved = inner.models.resolve(id).ok();
    let own = resolved.as_ref().and_then(|to| inner.price((&to.provider_name, &to.model)));
    let price = own.or_else(|| inner.prices.model(id))?;
    Some(price.at_most(bytes, u64::from(output)))
}
