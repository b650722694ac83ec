//! Intervals, and what changes with the hour of the day.

pub(super) struct Timing {
    pub(super) lengths_h: Vec<f64>,
    /// Hour of the day at which each begins; the end of the last one at the end.
    pub(super) edges_h: Vec<f64>,
}

/// Base load by the hour, as a share of its peak: a summer day of homes and offices.
const BASE_SHAPE: [f64; 24] = [
    0.62, 0.57, 0.54, 0.52, 0.52, 0.54, 0.59, 0.65, 0.72, 0.78, 0.83, 0.86, 0.87, 0.86, 0.86, 0.87,
    0.88, 0.90, 0.94, 0.98, 1.00, 0.96, 0.85, 0.72,
];

impl Timing {
    pub(super) fn new(intervals: usize) -> Self {
        let (start, lengths_h): (f64, Vec<f64>) = if intervals >= 48 {
            (0.0, vec![24.0 / intervals as f64; intervals])
        } else {
            let quarter = intervals.div_ceil(4);
            let length = |t: usize| [1.0 / 12.0, 0.25, 0.5, 1.0][t / quarter];
            (12.0, (0..intervals).map(length).collect())
        };
        let mut edges_h = vec![start];
        for length in &lengths_h {
            edges_h.push(edges_h[edges_h.len() - 1] + length);
        }
        Self { lengths_h, edges_h }
    }

    pub(super) fn horizon(&self) -> usize {
        self.lengths_h.len()
    }

    pub(super) fn start_h(&self) -> f64 {
        self.edges_h[0]
    }

    pub(super) fn end_h(&self) -> f64 {
        self.edges_h[self.horizon()]
    }

    pub(super) fn middle_h(&self, t: usize) -> f64 {
        0.5 * (self.edges_h[t] + self.edges_h[t + 1])
    }

    /// Whether most of an interval lies between two hours of the day.
    pub(super) fn within(&self, t: usize, from_h: f64, to_h: f64) -> bool {
        from_h <= self.middle_h(t) && self.middle_h(t) < to_h
    }

    /// Base load as a share of its peak, between the hours along straight lines.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // hours of a day
    pub(super) fn base_share(&self, t: usize) -> f64 {
        let hour = self.middle_h(t).rem_euclid(24.0);
        let whole = (hour as usize).min(23);
        let part = hour - whole as f64;
        BASE_SHAPE[whole] * (1.0 - part) + BASE_SHAPE[(whole + 1) % 24] * part
    }

    /// CNY/kWh: a summer day in Guangdong, valley from midnight to 8, peak from 10 to 12 and from 14 to 19.
    pub(super) fn price(&self, t: usize) -> f64 {
        match self.middle_h(t).rem_euclid(24.0) {
            h if h < 8.0 => 0.32,
            h if (10.0..12.0).contains(&h) || (14.0..19.0).contains(&h) => 1.25,
            _ => 0.74,
        }
    }
}
