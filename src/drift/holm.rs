//! Many tests at once.

/// Holm's step-down procedure (*A simple sequentially rejective multiple test procedure*, 1979): which of the
/// hypotheses are rejected so that the probability of even one false rejection is at most `level`, whatever the
/// dependence between them. Takes logarithms of p-values; the answer is in the same order.
pub(super) fn holm(ln_p: &[f64], level: f64) -> Vec<bool> {
    let mut order: Vec<usize> = (0..ln_p.len()).collect();
    order.sort_by(|a, b| ln_p[*a].total_cmp(&ln_p[*b]));
    let mut rejected = vec![false; ln_p.len()];
    for (rank, i) in order.into_iter().enumerate() {
        if ln_p[i] > (level / (ln_p.len() - rank) as f64).ln() {
            break;
        }
        rejected[i] = true;
    }
    rejected
}
