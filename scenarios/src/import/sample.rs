//! Draws of the import: which stations, and who belongs together.

use nalgebra::Vector2;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::read::SourceStation;

/// The import's stream of random numbers.
pub(super) struct Draws(ChaCha8Rng);

impl Draws {
    pub(super) fn new(seed: u64) -> Draws {
        Draws(ChaCha8Rng::seed_from_u64(seed))
    }

    /// A position below `count`, which is positive.
    #[allow(clippy::cast_possible_truncation)] // below count
    pub(super) fn below(&mut self, count: usize) -> usize {
        ((u128::from(self.0.next_u64()) * count as u128) >> 64) as usize
    }

    /// Shuffles in place.
    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

/// Samples so that the sizes keep their distribution: the stations, ordered by fast piles and size, are cut into as many
/// like strata as are wanted, and one is drawn from each. They come back in the order of the source.
pub(super) fn by_size(
    known: &[SourceStation],
    wanted: usize,
    draws: &mut Draws,
) -> Vec<SourceStation> {
    let mut order: Vec<usize> = (0..known.len()).collect();
    order.sort_by_key(|&i| (known[i].dc, known[i].ac, i));
    let mut chosen: Vec<usize> = (0..wanted)
        .map(|stratum| {
            let from = stratum * known.len() / wanted;
            let to = (stratum + 1) * known.len() / wanted;
            order[from + draws.below(to - from)]
        })
        .collect();
    chosen.sort_unstable();
    chosen.into_iter().map(|i| known[i]).collect()
}

/// East and north, so that distances compare near Guangzhou: a degree of longitude is shorter there by cos 22.6°.
pub(super) fn plane([longitude, latitude]: [f64; 2]) -> Vector2<f64> {
    Vector2::new(longitude * 0.923_2, latitude)
}

/// Groups of nearly the same size, by nearness (k-means with a limit on the size of a group). The group of each point,
/// and the middles of the groups.
pub(super) fn balanced_groups(
    points: &[Vector2<f64>],
    groups: usize,
    draws: &mut Draws,
) -> (Vec<usize>, Vec<Vector2<f64>>) {
    const ROUNDS: usize = 20;
    let mut first: Vec<usize> = (0..points.len()).collect();
    draws.shuffle(&mut first);
    let mut middles: Vec<Vector2<f64>> = first.iter().take(groups).map(|&i| points[i]).collect();
    let mut group_of = assign(points, &middles);
    for _ in 0..ROUNDS {
        for (group, middle) in middles.iter_mut().enumerate() {
            let members = (0..points.len()).filter(|&i| group_of[i] == group);
            let (sum, count) = members.fold((Vector2::zeros(), 0.0), |(sum, count), i| {
                (sum + points[i], count + 1.0)
            });
            if count > 0.0 {
                *middle = sum / count;
            }
        }
        let next = assign(points, &middles);
        if next == group_of {
            break;
        }
        group_of = next;
    }
    (group_of, middles)
}

/// Nearest pairs first, until a group is full.
fn assign(points: &[Vector2<f64>], middles: &[Vector2<f64>]) -> Vec<usize> {
    let most = points.len().div_ceil(middles.len());
    let mut pairs: Vec<(f64, usize, usize)> = Vec::with_capacity(points.len() * middles.len());
    for (i, point) in points.iter().enumerate() {
        for (group, middle) in middles.iter().enumerate() {
            pairs.push(((point - middle).norm_squared(), i, group));
        }
    }
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    let mut sizes = vec![0; middles.len()];
    let mut group_of = vec![None; points.len()];
    for (_, i, group) in pairs {
        if group_of[i].is_none() && sizes[group] < most {
            group_of[i] = Some(group);
            sizes[group] += 1;
        }
    }
    // The groups together hold all points, so each has found one.
    group_of
        .into_iter()
        .map(Option::unwrap_or_default)
        .collect()
}
