//! "Did you mean": the nearest of a few known names. Must not know what the names are for.

/// A remedy that names the nearest known name, if one is near.
pub(crate) fn suggestion<'n>(
    name: &str,
    known: impl IntoIterator<Item = &'n str>,
) -> Option<String> {
    nearest(name, known).map(|near| format!("did you mean `{near}`?"))
}

fn nearest<'n>(name: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    // Two slips in a word of four letters; long strangers are not compared at all.
    let most = (name.chars().count() / 3 + usize::from(name.len() > 3)).max(1);
    known
        .into_iter()
        .filter(|known| known.len().abs_diff(name.len()) <= most * 4)
        .map(|known| (distance(name, known), known))
        .filter(|&(distance, _)| distance <= most)
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, known)| known)
}

/// Letters to insert, remove, exchange, or swap with their neighbour.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let at = |row: &[usize], j: usize| row.get(j).copied().unwrap_or(usize::MAX / 2);
            let change = at(&last, j) + usize::from(x != y);
            let mut best = change.min(at(&last, j + 1) + 1).min(at(&row, j) + 1);
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x);
            if swapped {
                best = best.min(at(&before, j - 1) + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_word_and_a_stranger_finds_none() {
        let known = ["allow", "deny", "ask", "path", "except", "to", "when"];
        for (slip, word) in [("alow", "allow"), ("pahts", "path"), ("exept", "except"), ("t", "to")]
        {
            assert_eq!(nearest(slip, known), Some(word), "{slip}");
        }
        assert_eq!(nearest("recursive", known), None);
        assert_eq!(nearest("", known), None);
    }
}
