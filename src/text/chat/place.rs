//! Where what a message says stands in what a template made of it.

use crate::text::jinja::Char;

/// The end of the last place where all of `wanted` is foreign and stands together; `None` for no such place, and for nothing.
/// Takes time by the sum of both lengths, whatever they repeat (Knuth, Morris and Pratt, from the end).
pub(super) fn last_end(rendered: &[Char], wanted: &[char]) -> Option<usize> {
    let wanted: Vec<char> = wanted.iter().rev().copied().collect();
    if wanted.is_empty() {
        return None;
    }
    let falls = falls(&wanted);
    let mut have = 0;
    for (at, c) in rendered.iter().enumerate().rev() {
        let is = |have: usize| c.is_foreign() && wanted[have] == c.get();
        while have > 0 && !is(have) {
            have = falls[have - 1];
        }
        have += usize::from(is(have));
        if have == wanted.len() {
            return Some(at + have);
        }
    }
    None
}

/// For each beginning of a text, how long its longest end is that the text begins with, too.
fn falls(text: &[char]) -> Vec<usize> {
    let mut falls = vec![0; text.len()];
    for i in 1..text.len() {
        let mut have: usize = falls[i - 1];
        while have > 0 && text[i] != text[have] {
            have = falls[have - 1];
        }
        falls[i] = have + usize::from(text[i] == text[have]);
    }
    falls
}

#[cfg(test)]
mod tests {
    use super::last_end;
    use crate::text::jinja::Char;

    /// As it reads: each place, from the last.
    fn by_hand(rendered: &[Char], wanted: &[char]) -> Option<usize> {
        let is_here = |at: &usize| {
            let here = rendered[*at..].iter().zip(wanted);
            here.clone().count() == wanted.len() && here.into_iter().all(|(c, w)| c.is_foreign() && c.get() == *w)
        };
        (0..rendered.len()).rev().find(is_here).map(|at| at + wanted.len()).filter(|_| !wanted.is_empty())
    }

    #[test]
    fn the_last_place_is_found_as_by_hand() {
        let mut seed = 1u64;
        let mut draw = |below: u64| {
            seed = seed.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
            (seed >> 33) % below
        };
        let mut found = 0;
        for _ in 0..20_000 {
            let letter = |draw: &mut dyn FnMut(u64) -> u64| if draw(3) == 0 { 'b' } else { 'a' };
            let wanted: Vec<char> = (0..draw(5)).map(|_| letter(&mut draw)).collect();
            let count = draw(24);
            let rendered: Vec<Char> = (0..count)
                .map(|_| {
                    let c = letter(&mut draw);
                    if draw(12) == 0 { Char::own(c) } else { Char::foreign(c) }
                })
                .collect();
            let end = last_end(&rendered, &wanted);
            assert_eq!(end, by_hand(&rendered, &wanted), "{wanted:?}");
            found += usize::from(end.is_some());
        }
        assert!((5_000..19_000).contains(&found), "{found}");
    }

    /// To try each place would take a square of steps here, hours of them.
    #[test]
    fn a_long_text_of_one_letter_is_found() {
        let count = 4_000_000;
        let mut rendered: Vec<Char> = vec![Char::foreign('a'); count];
        rendered.extend("<end> aaa".chars().map(Char::own));
        assert_eq!(last_end(&rendered, &vec!['a'; count]), Some(count));
        assert_eq!(last_end(&rendered, &vec!['a'; count + 1]), None);
    }
}
