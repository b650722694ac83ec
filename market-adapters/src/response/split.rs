//! Whole fen, shared out so that nothing is lost.

/// Shares `total` out in proportion to weights, whole and exact: each gets the floor of its share, and what is left goes,
/// one by one, to the largest remainders (of equal ones, the first). Where all weights are zero, all count alike.
///
/// A negative total is shared out as its magnitude is, with the sign. Without weights nothing is shared out.
#[must_use]
pub fn split(total: i64, weights: &[u64]) -> Vec<i64> {
    if weights.is_empty() {
        return Vec::new();
    }
    let even = weights.iter().all(|weight| *weight == 0);
    let weight_of = |at: usize| u128::from(if even { 1 } else { weights[at] });
    let sum: u128 = (0..weights.len()).map(weight_of).sum();
    let magnitude = u128::from(total.unsigned_abs());
    let mut shares: Vec<u128> = Vec::with_capacity(weights.len());
    let mut remainders: Vec<(u128, usize)> = Vec::with_capacity(weights.len());
    for at in 0..weights.len() {
        // A total below 2^63 and a weight below 2^64: the product fits.
        let product = magnitude * weight_of(at);
        shares.push(product / sum);
        remainders.push((product % sum, at));
    }
    remainders.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    let left = magnitude - shares.iter().sum::<u128>();
    for (_, at) in remainders
        .into_iter()
        .take(usize::try_from(left).unwrap_or(0))
    {
        shares[at] += 1;
    }
    let signed = |share: u128| {
        let share = i64::try_from(share).unwrap_or(i64::MAX);
        if total < 0 { -share } else { share }
    };
    shares.into_iter().map(signed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_largest_remainders_get_what_is_left() {
        // 100 over 1 : 1 : 1 is 33, 33, 33 and one left, for the first of equals.
        assert_eq!(split(100, &[1, 1, 1]), [34, 33, 33]);
        // 10 over 3 : 5 : 8 is 1.875, 3.125, 5.
        assert_eq!(split(10, &[3, 5, 8]), [2, 3, 5]);
        assert_eq!(split(-100, &[1, 1, 1]), [-34, -33, -33]);
        assert_eq!(split(5, &[0, 0]), [3, 2]);
        assert_eq!(split(5, &[0, 7]), [0, 5]);
        assert_eq!(split(0, &[1, 2]), [0, 0]);
        assert!(split(5, &[]).is_empty());
        assert_eq!(
            split(i64::MAX, &[u64::MAX, u64::MAX]).iter().sum::<i64>(),
            i64::MAX
        );
    }

    proptest! {
        /// Nothing is lost, nobody is more than a fen from the exact share, and nobody without weight gets anything.
        #[test]
        fn shares_add_up_and_are_fair(
            total in -1_000_000_000_000_i64..1_000_000_000_000,
            weights in prop::collection::vec(0_u64..1_000_000_000, 1..200),
        ) {
            let shares = split(total, &weights);
            prop_assert_eq!(shares.iter().sum::<i64>(), total);
            let sum: u64 = weights.iter().sum();
            if sum > 0 {
                for (share, weight) in shares.iter().zip(&weights) {
                    let exact = i128::from(total) * i128::from(*weight);
                    let off = (i128::from(*share) * i128::from(sum) - exact).abs();
                    prop_assert!(off < i128::from(sum), "{share} of {weight}");
                    prop_assert!(*weight > 0 || *share == 0);
                }
            }
        }
    }
}
