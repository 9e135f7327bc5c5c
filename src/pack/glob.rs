//! Patterns for names: `*` stands for any text, `?` for any one character.

/// Whether a pattern matches the whole name.
pub(super) fn any_matches(patterns: &[String], name: &str) -> bool {
    let name: Vec<char> = name.chars().collect();
    patterns.iter().any(|pattern| matches(&pattern.chars().collect::<Vec<_>>(), &name))
}

fn matches(pattern: &[char], name: &[char]) -> bool {
    let (mut p, mut n) = (0, 0);
    // Where the last `*` stood, and how far it reaches.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(c) if *c == '?' || *c == name[n] => (p, n) = (p + 1, n + 1),
            _ => {
                let Some((at, reach)) = star else { return false };
                star = Some((at, reach + 1));
                (p, n) = (at + 1, reach + 1);
            }
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    #[test]
    fn patterns_match_whole_names() {
        let matches = |pattern: &str, name: &str| super::any_matches(&[pattern.to_string()], name);
        for (pattern, name) in
            [("*", ""), ("a*c", "abbc"), ("*.weight", "a.weight"), ("a?c", "aöc"), ("*a*b*", "xaybz")]
        {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("", "a"), ("a", "ab"), ("*.weight", "a.weights"), ("a?c", "ac"), ("*ab", "aba")] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
        // Quick, however many stars there are.
        assert!(!matches(&"*a".repeat(50), &"b".repeat(10_000)));
    }
}
