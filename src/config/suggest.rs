//! "Did you mean": the known name that is nearest to a mistyped one.

/// A remedy for an unknown name: the nearest known one, or all of them while they
/// are few; `None` where neither helps.
pub fn did_you_mean<'n>(name: &str, known: impl IntoIterator<Item = &'n str>) -> Option<String> {
    const FEW: usize = 12;
    let mut known: Vec<&str> = known.into_iter().collect();
    known.sort_unstable();
    known.dedup();
    if let Some(nearest) = nearest(name, &known) {
        return Some(format!("did you mean `{nearest}`?"));
    }
    match known.len() {
        0 => None,
        1..=FEW => {
            let names: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
            Some(format!("known here: {}", names.join(", ")))
        }
        _ => None,
    }
}

/// The nearest of `known` within a third of the longer name's letters.
fn nearest<'n>(name: &str, known: &[&'n str]) -> Option<&'n str> {
    // The distance costs the product of the lengths; nobody mistypes a page.
    if name.chars().count() > 100 {
        return None;
    }
    let plain = |text: &str| text.to_lowercase().replace(['-', ' '], "_");
    let wanted = plain(name);
    known
        .iter()
        .map(|candidate| {
            let other = plain(candidate);
            let longer = wanted.chars().count().max(other.chars().count());
            (strsim::damerau_levenshtein(&wanted, &other), longer, *candidate)
        })
        .filter(|(distance, longer, _)| distance * 3 <= *longer)
        .min_by_key(|(distance, _, candidate)| (*distance, *candidate))
        .map(|(_, _, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, known: &[&str], expected: Option<&str>) {
        assert_eq!(did_you_mean(name, known.iter().copied()).as_deref(), expected);
    }

    #[test]
    fn a_near_name_is_proposed() {
        check("delievered", &["sent", "delivered"], Some("did you mean `delivered`?"));
        check("Keep-Firing", &["keep_firing", "for"], Some("did you mean `keep_firing`?"));
    }

    #[test]
    fn a_far_name_gets_the_list_while_it_is_short() {
        check("zebra", &["sent", "delivered"], Some("known here: `delivered`, `sent`"));
        check("zebra", &[], None);
    }
}
