//! Which walls this machine offers, found by really building a jail in which nothing runs.
//!
//! Asking settings would be wrong in both directions: containers, security modules and kernels each
//! refuse in their own way. What is refused is kept with the step that failed and the kernel's word.

use std::path::Path;
use std::process::Stdio;

use super::backend::{Backend, Jail, Streams};
use super::letter::{At, Layer, Manner, Missing};
use super::{Family, Limits, Spec};

/// What there is, and the best way to build a jail of it.
#[derive(Debug, Clone)]
pub(crate) struct Layers {
    /// None: not even a process that gives up its privileges.
    pub(crate) manner: Option<Manner>,
    /// Every layer that is not there.
    pub(crate) missing: Vec<Missing>,
}

impl Layers {
    /// Tries the ways from the strongest to the weakest. The error is what stood in the way for the
    /// moment: what there is cannot be told from that.
    pub(crate) async fn probe(init: &Path, host_user: Option<u32>) -> Result<Layers, Missing> {
        let mut refused = vec![];
        for manner in manners(host_user) {
            match rehearse(init, manner).await {
                Ok(without) => return Ok(Layers::of(Some(manner), refused, without)),
                Err(missing) if missing.passing => return Err(missing),
                Err(missing) => refused.push(missing),
            }
        }
        Ok(Layers::of(None, refused, vec![]))
    }

    /// `refused`: what stood in the way of each stronger way.
    fn of(manner: Option<Manner>, refused: Vec<Missing>, without: Vec<Missing>) -> Layers {
        let mut missing: Vec<Missing> = vec![];
        for one in refused.into_iter().chain(without) {
            if missing.iter().all(|known| known.layer != one.layer) {
                missing.push(one);
            }
        }
        let first = missing.first().map_or("the jail", |first| first.layer.name());
        let rest = format!("not without {first}");
        for layer in absent(manner) {
            if missing.iter().all(|known| known.layer != *layer) {
                missing.push(Missing::lasting(*layer, rest.clone()));
            }
        }
        // What stood in the way of a stronger way and was found in a weaker one is there.
        missing.retain(|one| absent(manner).contains(&one.layer) || !one.layer.is_required());
        Layers { manner, missing }
    }

    /// Why this is less than the jail that is promised; none if it is not.
    pub(crate) fn shortfall(&self) -> Option<&Missing> {
        self.missing.iter().find(|missing| missing.layer.is_required())
    }

    pub(crate) fn lacks(&self, layer: Layer) -> Option<&Missing> {
        self.missing.iter().find(|missing| missing.layer == layer)
    }
}

/// The layers that a way of building does not have.
fn absent(manner: Option<Manner>) -> &'static [Layer] {
    match manner {
        Some(Manner { rooms: true, user_namespace: true, .. }) => &[],
        Some(Manner { rooms: true, user_namespace: false, .. }) => &[Layer::User],
        Some(Manner { rooms: false, .. }) => {
            &[Layer::User, Layer::Namespaces, Layer::Mounts, Layer::Network]
        }
        None => Layer::ALL,
    }
}

fn manners(host_user: Option<u32>) -> Vec<Manner> {
    let full = Manner { rooms: true, user_namespace: true, host_user, rehearse: true };
    let mut manners = vec![full];
    if host_user.is_some() {
        manners.push(Manner { user_namespace: false, ..full });
    }
    manners.push(Manner { rooms: false, user_namespace: false, host_user: None, rehearse: true });
    manners
}

/// Builds everything and starts nothing; the answer is what it went without.
async fn rehearse(init: &Path, manner: Manner) -> Result<Vec<Missing>, Missing> {
    let jail = Jail { init: init.to_owned(), manner, cgroups: None };
    let silent = Streams { input: None, output: Stdio::null(), errors: Stdio::null() };
    let started = jail.start(&nothing(), silent);
    let mut contained = started.at(Layer::Limits, "starting its init")?;
    Ok(contained.built().await?.without)
}

fn nothing() -> Spec {
    Spec {
        program: "/".into(),
        args: vec![],
        env: std::collections::BTreeMap::new(),
        directory: "/".into(),
        family: Family::Provided,
        binds: vec![],
        mounts: vec![],
        listen: vec![],
        addresses: vec![],
        hosts: vec![],
        limits: Limits { memory_mb: 128, tmp_mb: 1, processes: 16, files: 64 },
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    /// `refused` stood in the way of stronger ways than `manner`.
    #[track_caller]
    fn check(manner: Option<Manner>, refused: &[Layer], without: &[Layer], expected: &Expect) {
        let missing = |layers: &[Layer]| {
            layers.iter().map(|layer| Missing::lasting(*layer, "EPERM")).collect()
        };
        let layers = Layers::of(manner, missing(refused), missing(without));
        let mut told: Vec<String> = layers.missing.iter().map(ToString::to_string).collect();
        told.push(match layers.shortfall() {
            Some(missing) => format!("less than a jail for {}", missing.layer.name()),
            None => "a jail".to_owned(),
        });
        expected.assert_eq(&told.join("\n"));
    }

    #[test]
    fn a_weaker_way_is_told_with_what_stood_in_the_way_of_a_stronger_one() {
        let [full, without_users, thin] = manners(Some(7))[..] else { panic!("three ways") };
        check(Some(full), &[], &[], &expect!["a jail"]);
        check(
            Some(full),
            &[],
            &[Layer::Landlock],
            &expect![[r#"
                Landlock: EPERM
                a jail"#]],
        );
        check(
            Some(without_users),
            &[Layer::User],
            &[],
            &expect![[r#"
                user namespace: EPERM
                less than a jail for user namespace"#]],
        );
        check(
            Some(thin),
            &[Layer::User, Layer::Mounts],
            &[],
            &expect![[r#"
                user namespace: EPERM
                mount namespace and root: EPERM
                pid, ipc and uts namespaces: not without user namespace
                network namespace: not without user namespace
                less than a jail for user namespace"#]],
        );
    }
}
