use super::*;

/// The verdict of one figure on a target, as `state attainment remaining`.
#[track_caller]
fn check(target: Target, margin: f64, value: f64, expected: &str) {
    let attainment =
        attainment(target, value).map_or("-".to_owned(), |ratio| format!("{ratio:.3}"));
    let shown = format!(
        "{} {attainment} {}",
        state(target, margin, value).name(),
        remaining(target, value)
    );
    assert_eq!(shown, expected, "{value} against {target:?}, margin {margin}");
}

#[test]
fn at_least_wants_more() {
    let target = Target::AtLeast(0.5);
    check(target, 0.1, 0.75, "met 1.500 0");
    check(target, 0.1, 0.55, "met 1.100 0");
    check(target, 0.1, 0.54, "at_risk 1.080 0");
    check(target, 0.1, 0.5, "at_risk 1.000 0");
    check(target, 0.0, 0.5, "met 1.000 0");
    check(target, 0.1, 0.25, "missed 0.500 0.25");
    check(target, 0.1, 0.0, "missed 0.000 0.5");
}

#[test]
fn at_most_wants_less() {
    let target = Target::AtMost(0.5);
    check(target, 0.1, 0.25, "met 2.000 0");
    check(target, 0.1, 0.45, "met 1.111 0");
    check(target, 0.1, 0.46, "at_risk 1.087 0");
    check(target, 0.1, 0.5, "at_risk 1.000 0");
    check(target, 0.1, 1.0, "missed 0.500 0.5");
    check(target, 0.1, 0.0, "met - 0");
    check(Target::AtMost(0.0), 0.1, 0.0, "met - 0");
    check(Target::AtMost(0.0), 0.1, 3.0, "missed - 3");
}

#[test]
fn between_wants_neither() {
    let target = Target::Between(2.0, 4.0);
    check(target, 0.1, 3.0, "met 1.333 0");
    check(target, 0.1, 2.0, "at_risk 1.000 0");
    check(target, 0.1, 3.75, "at_risk 1.067 0");
    check(target, 0.1, 1.0, "missed 0.500 1");
    check(target, 0.1, 8.0, "missed 0.500 4");
}

#[test]
fn a_target_below_zero_has_its_margin_on_the_good_side() {
    check(Target::AtLeast(-10.0), 0.1, -9.5, "at_risk - 0");
    check(Target::AtLeast(-10.0), 0.1, -8.0, "met - 0");
    check(Target::AtMost(-10.0), 0.1, -10.5, "at_risk - 0");
}
