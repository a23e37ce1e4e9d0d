//! The identity behind a request, as `front` authenticated it.

use wire::fault::Fault;
use wire::sts::types::{GetCallerIdentityRequest, GetCallerIdentityResponse};

use crate::cx::{Caller, Cx};

pub(crate) async fn get(
    cx: &Cx,
    _input: GetCallerIdentityRequest,
) -> Result<GetCallerIdentityResponse, Fault> {
    Ok(GetCallerIdentityResponse {
        user_id: Some(user_id(&cx.caller)),
        account: Some(cx.caller.account.clone()),
        arn: Some(cx.caller.arn.clone()),
    })
}

/// AWS: the root user's id is its account; another user's is unique to it (GetCallerIdentity).
/// Keys stand for users here, so the access key is that id.
fn user_id(caller: &Caller) -> String {
    if caller.access_key.is_empty() || caller.arn.ends_with(":root") {
        return caller.account.clone();
    }
    caller.access_key.clone()
}

#[cfg(test)]
mod tests {
    use super::{Caller, user_id};

    #[track_caller]
    fn check(arn: &str, access_key: &str, expected: &str) {
        let caller = Caller {
            account: "123456789012".into(),
            region: "eu-west-1".into(),
            access_key: access_key.into(),
            arn: arn.into(),
        };
        assert_eq!(user_id(&caller), expected);
    }

    #[test]
    fn a_user_is_known_by_its_key_and_root_by_its_account() {
        check("arn:aws:iam::123456789012:user/ci", "AKIACI", "AKIACI");
        check("arn:aws:iam::123456789012:root", "AKIACI", "123456789012");
        check("arn:aws:iam::123456789012:user/dev", "", "123456789012");
    }
}
