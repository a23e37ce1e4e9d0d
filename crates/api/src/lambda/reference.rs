//! Which function a request means.
//!
//! AWS: a function is named by its name, its ARN or a partial ARN (`account:function:name`), each
//! with a version or alias behind it or in `Qualifier` (Invoke, "FunctionName").

use engine::function::{FunctionRecord, find, function_name, qualifier};
use store::Versioned;
use wire::arn::Arn;
use wire::fault::Fault;

use super::fault::{invalid, not_found};
use crate::cx::Cx;
pub(super) use crate::cx::tenant;

pub(super) const LATEST: &str = "$LATEST";

/// One function, or one published version of it, in the caller's account and region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reference {
    pub(super) name: String,
    /// As the client gave it: `None`, `$LATEST`, a number, or an alias.
    pub(super) qualifier: Option<String>,
    /// Unqualified.
    pub(super) arn: String,
    /// It names another account or region, where the caller has nothing.
    elsewhere: bool,
}

impl Reference {
    pub(super) fn read(cx: &Cx, text: &str, asked: Option<&str>) -> Result<Reference, Fault> {
        let Some(qualifier) = one_qualifier(qualifier(text), asked) else {
            // AWS: the two must not contradict each other.
            return Err(invalid(format!(
                "the qualifier in {text} is not the Qualifier {}; give one of them",
                asked.unwrap_or_default()
            )));
        };
        let (name, caller) = (function_name(text), &cx.caller);
        let (region, account) = place(text);
        Ok(Reference {
            name: name.to_owned(),
            qualifier: qualifier.map(str::to_owned),
            arn: arn(&caller.region, &caller.account, name),
            elsewhere: region.is_some_and(|r| r != caller.region)
                || account.is_some_and(|a| a != caller.account),
        })
    }

    /// As [`Reference::read`], for operations on a function as a whole.
    pub(super) fn whole(cx: &Cx, text: &str) -> Result<Reference, Fault> {
        let reference = Reference::read(cx, text, None)?;
        match &reference.qualifier {
            Some(qualifier) if qualifier != LATEST => Err(invalid(format!(
                "{text}: a published version never changes; name the function without {qualifier}"
            ))),
            _ => Ok(reference),
        }
    }

    /// The same function, at this version.
    pub(super) fn at(&self, version: &str) -> Reference {
        Reference { qualifier: Some(version.to_owned()), ..self.clone() }
    }

    /// The document's id.
    pub(super) fn id(&self) -> String {
        match self.version() {
            LATEST => self.name.clone(),
            version => version_id(&self.name, version),
        }
    }

    pub(super) fn version(&self) -> &str {
        self.qualifier.as_deref().unwrap_or(LATEST)
    }

    /// The ARN with its qualifier, if the client gave one.
    pub(super) fn qualified_arn(&self) -> String {
        match &self.qualifier {
            Some(qualifier) => format!("{}:{qualifier}", self.arn),
            None => self.arn.clone(),
        }
    }

    pub(super) fn missing(&self) -> Fault {
        not_found(format!("Function not found: {}", self.qualified_arn()))
    }

    /// The function, version, or version at which the alias points.
    pub(super) async fn load(&self, cx: &Cx) -> Result<Versioned<FunctionRecord>, Fault> {
        if self.elsewhere {
            return Err(self.missing());
        }
        let read = find(cx.engine.store(), &tenant(cx), &self.qualified_arn()).await;
        read.map_err(Fault::internal)?.ok_or_else(|| self.missing())
    }

    /// Refuses what only [`Reference::load`] would notice, for writers.
    pub(super) fn here(self) -> Result<Reference, Fault> {
        if self.elsewhere { Err(self.missing()) } else { Ok(self) }
    }
}

/// AWS: an alias cannot look like a number (CreateAlias, `Name`).
pub(super) fn is_alias(qualifier: &str) -> bool {
    qualifier != LATEST && !qualifier.bytes().all(|b| b.is_ascii_digit())
}

pub(super) fn arn(region: &str, account: &str, name: &str) -> String {
    Arn::new("lambda", region, account, format!("function:{name}")).to_string()
}

/// Names have no colon, so versions never take a function's place.
pub(super) fn version_id(name: &str, version: &str) -> String {
    format!("{name}:{version}")
}

/// `None` where the two contradict each other.
fn one_qualifier<'a>(inner: Option<&'a str>, asked: Option<&'a str>) -> Option<Option<&'a str>> {
    match (inner, asked) {
        (Some(inner), Some(asked)) if inner != asked => None,
        (inner, asked) => Some(asked.or(inner)),
    }
}

/// Region and account of a full or partial ARN.
fn place(text: &str) -> (Option<&str>, Option<&str>) {
    let Some((before, _)) = text.split_once(":function:") else { return (None, None) };
    let mut parts = before.rsplit(':');
    let account = parts.next();
    let region = parts.next().filter(|_| text.starts_with("arn:"));
    (region, account)
}

#[cfg(test)]
mod tests {
    use super::{one_qualifier, place};

    #[track_caller]
    fn check(text: &str, region: Option<&str>, account: Option<&str>) {
        assert_eq!(place(text), (region, account), "{text}");
    }

    #[test]
    fn an_arn_says_where_its_function_is_and_a_name_does_not() {
        check(
            "arn:aws:lambda:eu-west-1:123456789012:function:f:1",
            Some("eu-west-1"),
            Some("123456789012"),
        );
        check("123456789012:function:f", None, Some("123456789012"));
        check("f", None, None);
        check("f:1", None, None);
    }

    #[test]
    fn two_qualifiers_must_agree() {
        assert_eq!(one_qualifier(Some("1"), Some("1")), Some(Some("1")));
        assert_eq!(one_qualifier(Some("1"), None), Some(Some("1")));
        assert_eq!(one_qualifier(None, Some("2")), Some(Some("2")));
        assert_eq!(one_qualifier(None, None), Some(None));
        assert_eq!(one_qualifier(Some("1"), Some("2")), None);
    }
}
