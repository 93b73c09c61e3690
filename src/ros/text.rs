//! Texts that ROS messages can carry.

use r2r::WrappedTypesupport;
use serde_json::Value;

/// `message` with U+FFFD in place of every NUL in its texts: no ROS message can carry one, and r2r panics. Errors quote files, which may hold
/// anything.
pub fn without_nul<T: WrappedTypesupport>(message: T) -> T {
    // Nearly all have none, and go through as they are.
    let Ok(mut value) = serde_json::to_value(&message) else { return message };
    // What is no number in JSON, NaN, would not come back; then nothing is said rather than the node ended.
    if replace_nul(&mut value) { serde_json::from_value(value).unwrap_or_default() } else { message }
}

/// Whether there was one.
fn replace_nul(value: &mut Value) -> bool {
    match value {
        Value::String(text) if text.contains('\0') => {
            *text = text.replace('\0', "\u{fffd}");
            true
        }
        Value::Array(values) => values.iter_mut().fold(false, |found, value| replace_nul(value) | found),
        Value::Object(entries) => entries.values_mut().fold(false, |found, value| replace_nul(value) | found),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use r2r::hebbian_locomotion::msg::WeightsLayout;
    use r2r::hebbian_locomotion::srv::SetGate;
    use r2r::std_srvs::srv::Trigger;

    use super::*;

    #[test]
    fn a_text_with_nul_becomes_one_that_a_message_can_carry() {
        let answer = Trigger::Response { success: true, message: "a\0b\0".to_owned() };
        assert_eq!(without_nul(answer), Trigger::Response { success: true, message: "a\u{fffd}b\u{fffd}".to_owned() });
        let layout = WeightsLayout { inputs: vec![3], output_names: vec!["hip".into(), "\0".into()], ..WeightsLayout::default() };
        let expected = WeightsLayout { output_names: vec!["hip".into(), "\u{fffd}".into()], ..layout.clone() };
        assert_eq!(without_nul(layout), expected);
    }

    #[test]
    fn a_message_without_nul_stays_as_it_is() {
        let answer = SetGate::Response { success: false, message: "\\0 \\u0000".to_owned(), previous_gate: f32::NAN };
        let same = without_nul(answer.clone());
        assert_eq!((same.message, same.previous_gate.to_bits()), (answer.message, answer.previous_gate.to_bits()));
    }
}
