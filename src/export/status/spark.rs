//! Small trend lines as inline SVG.

use std::fmt::Write;

const WIDTH: f64 = 120.0;
const HEIGHT: f64 = 32.0;
const MARGIN: f64 = 3.0;
/// A line that stays within this share of its own height above nothing is drawn
/// calm: else the last digit of a steady figure would look like a storm.
const CALM: f64 = 0.05;

/// Draws `points` from the oldest to the newest, with gaps where there is no data,
/// and a dashed line at each of `bounds`. Empty where there is nothing to draw.
///
/// The line says nothing that is not said in words beside it, so readers of the
/// screen skip it.
pub(super) fn line(points: &[Option<f64>], bounds: &[f64]) -> String {
    let known = points.iter().flatten().chain(bounds).copied();
    let least = known.clone().fold(f64::INFINITY, f64::min);
    let most = known.fold(f64::NEG_INFINITY, f64::max);
    if points.iter().flatten().count() < 2 {
        return String::new();
    }
    let range = (most - least).max(CALM * least.abs().max(most.abs()));
    let middle = (least + most) / 2.0;
    let y = |value: f64| {
        let share = if range > 0.0 { (value - middle) / range } else { 0.0 };
        HEIGHT / 2.0 - share * (HEIGHT - 2.0 * MARGIN)
    };
    let step = (WIDTH - 2.0 * MARGIN) / (points.len() - 1) as f64;
    let x = |place: usize| MARGIN + place as f64 * step;
    let mut path = String::new();
    let mut drawing = false;
    for (place, point) in points.iter().enumerate() {
        if let Some(value) = point {
            let command = if drawing { 'L' } else { 'M' };
            // Writing to a string cannot fail.
            let _ = write!(path, "{command}{:.1} {:.1}", x(place), y(*value));
        }
        drawing = point.is_some();
    }
    let mut svg = format!(
        "<svg class=\"spark\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" preserveAspectRatio=\"none\" aria-hidden=\"true\" focusable=\"false\">"
    );
    for bound in bounds {
        let y = y(*bound);
        let _ = write!(svg, "<path class=\"bound\" d=\"M0 {y:.1}H{WIDTH}\"/>");
    }
    let _ = write!(svg, "<path class=\"trend\" d=\"{path}\"/></svg>");
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_data_leaves_a_gap() {
        let svg = line(&[Some(0.0), Some(1.0), None, Some(1.0), Some(0.0)], &[]);
        assert_eq!(svg.matches('M').count(), 2, "{svg}");
        assert_eq!(svg.matches('L').count(), 2, "{svg}");
    }

    #[test]
    fn a_flat_line_has_a_place() {
        let svg = line(&[Some(2.0), Some(2.0)], &[]);
        assert!(svg.contains("M3.0 16.0L117.0 16.0"), "{svg}");
    }

    #[test]
    fn a_steady_figure_looks_steady() {
        let svg = line(&[Some(0.985), Some(0.9851), Some(0.985)], &[]);
        assert!(svg.contains("M3.0 16.0L60.0 16.0L117.0 16.0"), "{svg}");
    }

    #[test]
    fn one_point_is_no_line() {
        assert_eq!(line(&[], &[1.0]), "");
        assert_eq!(line(&[None, Some(1.0)], &[1.0]), "");
    }
}
