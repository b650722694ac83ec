//! The published schemas.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex};

use jsonschema::Validator;
use serde_json::Value;

static COMPILED: LazyLock<Mutex<BTreeMap<String, Arc<Validator>>>> = LazyLock::new(Mutex::default);

/// What a schema has against a payload.
pub(crate) fn problems(version: &str, message: &str, payload: &Value) -> Vec<String> {
    let name = match (version, message.ends_with("Response")) {
        ("1.6", _) | (_, true) => format!("{version}/{message}.json"),
        (_, false) => format!("{version}/{message}Request.json"),
    };
    let mut compiled = COMPILED.lock().unwrap();
    let validator = Arc::clone(compiled.entry(name).or_insert_with_key(|name| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ocpp-schemas");
        let text = std::fs::read_to_string(folder.join(name)).unwrap();
        let schema = serde_json::from_str(&text).unwrap();
        let options = jsonschema::options().should_validate_formats(true);
        Arc::new(options.build(&schema).unwrap())
    }));
    drop(compiled);
    let errors = validator.iter_errors(payload);
    errors
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect()
}

/// Holds a payload against its schema.
pub(crate) fn check(version: &str, message: &str, payload: &Value) {
    let problems = problems(version, message, payload);
    assert!(
        problems.is_empty(),
        "{version} {message}: {problems:?} in {payload}"
    );
}

/// The schemas refuse what they must: a check that cannot fail would prove nothing.
#[test]
fn schemas_refuse() {
    let number =
        serde_json::json!({"connectorId": 1, "errorCode": "NoError", "status": "Available"});
    check("1.6", "StatusNotification", &number);
    let wrong = [
        serde_json::json!({"connectorId": 1, "errorCode": "NoError", "status": "available"}),
        serde_json::json!({"connectorId": 1, "errorCode": "NoError"}),
        serde_json::json!({"connectorId": 1, "errorCode": "NoError", "status": "Available", "more": 1}),
        serde_json::json!({"connectorId": 1, "errorCode": "NoError", "status": "Available", "timestamp": "today"}),
    ];
    for wrong in wrong {
        assert!(
            !problems("1.6", "StatusNotification", &wrong).is_empty(),
            "{wrong}"
        );
    }
    let limit = |limit: f64| {
        serde_json::json!({"connectorId": 1, "csChargingProfiles": {
            "chargingProfileId": 1, "stackLevel": 0, "chargingProfilePurpose": "TxDefaultProfile",
            "chargingProfileKind": "Absolute", "chargingSchedule": {"chargingRateUnit": "A",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit}]}}})
    };
    check("1.6", "SetChargingProfile", &limit(10.2));
    assert!(!problems("1.6", "SetChargingProfile", &limit(10.25)).is_empty());
}
