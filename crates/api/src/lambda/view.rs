//! A stored function as the wire shows it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use engine::function::{FunctionRecord, qualifier};
use wire::fault::Fault;
use wire::lambda::types::{
    Architecture, EnvironmentResponse, EphemeralStorage, FunctionConfiguration, LastUpdateStatus,
    LogFormat, LoggingConfig, PackageType, Runtime, SnapStartApplyOn, SnapStartOptimizationStatus,
    SnapStartResponse, State, StateReasonCode, TracingConfigResponse, TracingMode,
};

use super::reference::LATEST;
use super::settings::Settings;

/// The moment of a function's life that an answer tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// AWS: the answer to a create shows `Pending`, a later read `Active` (function states).
    Created,
    /// AWS: the answer to an update shows `InProgress`, a later read `Successful`.
    Updated,
    Read,
}

pub(super) fn configuration(
    record: FunctionRecord,
    moment: Moment,
) -> Result<FunctionConfiguration, Fault> {
    let settings = Settings::of(&record)?;
    let version = qualifier(&record.arn).unwrap_or(LATEST).to_owned();
    let logging = LoggingConfig {
        log_format: Some(LogFormat::Text),
        log_group: Some(format!("/aws/lambda/{}", record.name)),
        ..LoggingConfig::default()
    };
    let configuration = FunctionConfiguration {
        version: Some(version),
        runtime: Runtime::parse(&record.runtime),
        role: Some(settings.role),
        handler: Some(record.handler),
        code_size: i64::try_from(record.code_size).ok(),
        description: Some(settings.description),
        timeout: Some(record.timeout_seconds.into()),
        memory_size: Some(record.memory_mb.into()),
        last_modified: Some(last_modified(settings.modified_at)),
        code_sha256: Some(base64_of_hex(&record.code)),
        environment: environment(record.environment),
        tracing_config: Some(TracingConfigResponse { mode: Some(TracingMode::PassThrough) }),
        revision_id: Some(settings.revision),
        package_type: Some(PackageType::Zip),
        architectures: Architecture::parse(&settings.architecture).map(|one| vec![one]),
        ephemeral_storage: Some(EphemeralStorage { size: settings.ephemeral_mb.into() }),
        snap_start: Some(SnapStartResponse {
            apply_on: Some(SnapStartApplyOn::None),
            optimization_status: Some(SnapStartOptimizationStatus::Off),
        }),
        logging_config: Some(logging),
        function_name: Some(record.name),
        function_arn: Some(record.arn),
        ..FunctionConfiguration::default()
    };
    Ok(in_state(configuration, moment))
}

fn in_state(configuration: FunctionConfiguration, moment: Moment) -> FunctionConfiguration {
    match moment {
        Moment::Created => FunctionConfiguration {
            state: Some(State::Pending),
            state_reason: Some("The function is being created.".to_owned()),
            state_reason_code: Some(StateReasonCode::Creating),
            ..configuration
        },
        Moment::Updated => FunctionConfiguration {
            state: Some(State::Active),
            last_update_status: Some(LastUpdateStatus::InProgress),
            ..configuration
        },
        Moment::Read => FunctionConfiguration {
            state: Some(State::Active),
            last_update_status: Some(LastUpdateStatus::Successful),
            ..configuration
        },
    }
}

/// AWS: no `Environment` where there are no variables.
fn environment(
    variables: std::collections::BTreeMap<String, String>,
) -> Option<EnvironmentResponse> {
    (!variables.is_empty()).then(|| EnvironmentResponse {
        variables: Some(variables),
        ..EnvironmentResponse::default()
    })
}

/// AWS: `2024-01-01T00:00:00.000+0000` (FunctionConfiguration, `LastModified`).
fn last_modified(millis: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(millis).unwrap_or_default();
    time.strftime("%Y-%m-%dT%H:%M:%S%.3f+0000").to_string()
}

/// Digests are kept in hex and shown in base64.
pub(super) fn base64_of_hex(hex: &str) -> String {
    let bytes: Vec<u8> = (0..hex.len() / 2)
        .filter_map(|i| u8::from_str_radix(hex.get(2 * i..2 * i + 2)?, 16).ok())
        .collect();
    STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::{base64_of_hex, last_modified};

    #[test]
    fn times_and_digests_have_the_form_of_aws() {
        assert_eq!(last_modified(1_704_067_200_000), "2024-01-01T00:00:00.000+0000");
        assert_eq!(last_modified(1_704_067_200_042), "2024-01-01T00:00:00.042+0000");
        assert_eq!(base64_of_hex("00ff10"), "AP8Q");
    }
}
