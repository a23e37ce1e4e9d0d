//! Members of a function's configuration whose features have not landed.
//!
//! At AWS's default they are accepted; any other value is refused by name, because a function
//! that silently runs without its network or its layers is worse than none.

use wire::fault::Fault;
use wire::lambda::types::{
    AcceleratorConfig, CapacityProviderConfig, CreateFunctionRequest, DeadLetterConfig,
    DurableConfig, FileSystemConfig, FunctionRuntimeConfig, ImageConfig, LogFormat, LoggingConfig,
    SnapStart, SnapStartApplyOn, TracingConfig, TracingMode, UpdateFunctionConfigurationRequest,
    VpcConfig,
};

use super::fault::unserved;

/// What create and update have in common of it.
#[derive(Default)]
pub(super) struct Unserved {
    vpc: Option<VpcConfig>,
    dead_letters: Option<DeadLetterConfig>,
    kms_key: Option<String>,
    tracing: Option<TracingConfig>,
    layers: Option<Vec<String>>,
    file_systems: Option<Vec<FileSystemConfig>>,
    image: Option<ImageConfig>,
    snap_start: Option<SnapStart>,
    logging: Option<LoggingConfig>,
    capacity: Option<CapacityProviderConfig>,
    durable: Option<DurableConfig>,
    runtime: Option<FunctionRuntimeConfig>,
    accelerator: Option<AcceleratorConfig>,
}

impl Unserved {
    pub(super) fn of_create(input: &mut CreateFunctionRequest) -> Unserved {
        Unserved {
            vpc: input.vpc_config.take(),
            dead_letters: input.dead_letter_config.take(),
            kms_key: input.kms_key_arn.take(),
            tracing: input.tracing_config.take(),
            layers: input.layers.take(),
            file_systems: input.file_system_configs.take(),
            image: input.image_config.take(),
            snap_start: input.snap_start.take(),
            logging: input.logging_config.take(),
            capacity: input.capacity_provider_config.take(),
            durable: input.durable_config.take(),
            runtime: input.runtime_config.take(),
            accelerator: input.accelerator_config.take(),
        }
    }

    pub(super) fn of_update(input: &mut UpdateFunctionConfigurationRequest) -> Unserved {
        Unserved {
            vpc: input.vpc_config.take(),
            dead_letters: input.dead_letter_config.take(),
            kms_key: input.kms_key_arn.take(),
            tracing: input.tracing_config.take(),
            layers: input.layers.take(),
            file_systems: input.file_system_configs.take(),
            image: input.image_config.take(),
            snap_start: input.snap_start.take(),
            logging: input.logging_config.take(),
            capacity: input.capacity_provider_config.take(),
            durable: input.durable_config.take(),
            runtime: input.runtime_config.take(),
            accelerator: input.accelerator_config.take(),
        }
    }

    /// `name` is the function's: its default log group is `/aws/lambda/NAME`.
    pub(super) fn check(&self, name: &str) -> Result<(), Fault> {
        let asked = [
            (self.vpc.as_ref().is_some_and(has_network), "VpcConfig", "networks of functions"),
            (
                self.dead_letters.as_ref().is_some_and(|d| given(d.target_arn.as_ref())),
                "DeadLetterConfig",
                "dead-letter queues",
            ),
            (given(self.kms_key.as_ref()), "KMSKeyArn", "keys of one's own"),
            (
                self.tracing.as_ref().is_some_and(|t| t.mode == Some(TracingMode::Active)),
                "TracingConfig.Mode Active",
                "X-Ray",
            ),
            (filled(self.layers.as_ref()), "Layers", "layers"),
            (filled(self.file_systems.as_ref()), "FileSystemConfigs", "file systems"),
            (self.image.is_some(), "ImageConfig", "container images"),
            (
                self.snap_start
                    .as_ref()
                    .is_some_and(|s| s.apply_on == Some(SnapStartApplyOn::PublishedVersions)),
                "SnapStart.ApplyOn PublishedVersions",
                "SnapStart",
            ),
            (
                self.logging.as_ref().is_some_and(|l| structured(l, name)),
                "LoggingConfig",
                "JSON logs, log levels and log groups of one's own",
            ),
            (self.capacity.is_some(), "CapacityProviderConfig", "capacity providers"),
            (self.durable.is_some(), "DurableConfig", "durable functions"),
            (self.runtime.is_some(), "RuntimeConfig", "custom runtimes"),
            (self.accelerator.is_some(), "AcceleratorConfig", "accelerators"),
        ];
        match asked.into_iter().find(|(asked, ..)| *asked) {
            Some((_, member, feature)) => Err(unserved(member, feature)),
            None => Ok(()),
        }
    }
}

fn given(text: Option<&String>) -> bool {
    text.is_some_and(|text| !text.is_empty())
}

fn filled<T>(list: Option<&Vec<T>>) -> bool {
    list.is_some_and(|list| !list.is_empty())
}

fn has_network(vpc: &VpcConfig) -> bool {
    filled(vpc.subnet_ids.as_ref())
        || filled(vpc.security_group_ids.as_ref())
        || vpc.ipv6_allowed_for_dual_stack == Some(true)
}

fn structured(logging: &LoggingConfig, name: &str) -> bool {
    logging.log_format == Some(LogFormat::Json)
        || logging.application_log_level.is_some()
        || logging.system_log_level.is_some()
        || logging.log_group.as_deref().is_some_and(|group| group != format!("/aws/lambda/{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(unserved: &Unserved, expected: Option<&str>) {
        let refused = unserved.check("f").err();
        let member = refused.as_ref().and_then(|f| f.message().split(':').next());
        assert_eq!(member, expected);
    }

    #[test]
    fn defaults_pass_and_anything_else_is_refused_by_name() {
        check(&Unserved::default(), None);
        let vpc = |subnets: &[&str]| {
            let subnets = subnets.iter().map(|s| (*s).to_owned()).collect();
            Some(VpcConfig { subnet_ids: Some(subnets), ..VpcConfig::default() })
        };
        check(&Unserved { vpc: vpc(&[]), ..Unserved::default() }, None);
        check(&Unserved { vpc: vpc(&["subnet-1"]), ..Unserved::default() }, Some("VpcConfig"));
        let snap = |apply_on| Some(SnapStart { apply_on: Some(apply_on) });
        check(&Unserved { snap_start: snap(SnapStartApplyOn::None), ..Unserved::default() }, None);
        check(
            &Unserved {
                snap_start: snap(SnapStartApplyOn::PublishedVersions),
                ..Unserved::default()
            },
            Some("SnapStart.ApplyOn PublishedVersions"),
        );
        let group =
            |g: &str| Some(LoggingConfig { log_group: Some(g.into()), ..LoggingConfig::default() });
        check(&Unserved { logging: group("/aws/lambda/f"), ..Unserved::default() }, None);
        check(&Unserved { logging: group("/mine"), ..Unserved::default() }, Some("LoggingConfig"));
        check(
            &Unserved { layers: Some(vec!["arn".into()]), ..Unserved::default() },
            Some("Layers"),
        );
    }
}
