//! Counts of values by size, from which percentiles are read: buckets that grow with the values, as in HDR histograms.

/// Buckets of one power of two: percentiles are at most 1/16 too high.
const STEPS: u64 = 16;
const STEP_BITS: u32 = STEPS.trailing_zeros();
/// Values of 2^40 and more share the last bucket.
const MAX_BITS: u32 = 40;
const BUCKETS: usize = ((MAX_BITS - STEP_BITS + 1) as usize) * STEPS as usize;

/// How often values of each size came. Empty, it takes no memory beyond itself; used, under 5 KiB.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    /// Empty until the first value.
    buckets: Vec<u64>,
    count: u64,
    sum: u64,
    min: u64,
    max: u64,
}

/// What there is to say of a histogram.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Summary {
    /// Number of values.
    pub count: u64,
    /// Their sum.
    pub sum: u64,
    /// The smallest; 0 of none.
    pub min: u64,
    /// The largest; 0 of none.
    pub max: u64,
    /// Half of them are at most this, give or take a sixteenth.
    pub p50: u64,
    /// 90 % of them.
    pub p90: u64,
    /// 99 % of them.
    pub p99: u64,
    /// 99.9 % of them.
    pub p999: u64,
}

/// The bucket of a value: those below 16 have one each, then each power of two has sixteen.
fn bucket(value: u64) -> usize {
    if value < STEPS {
        return value as usize;
    }
    let bits = value.ilog2().min(MAX_BITS - 1);
    let step = (value >> (bits - STEP_BITS)).min(2 * STEPS - 1) - STEPS;
    ((bits - STEP_BITS + 1) as usize) * STEPS as usize + step as usize
}

/// The largest value of a bucket.
fn upper(bucket: usize) -> u64 {
    let (power, step) = (bucket as u64 / STEPS, bucket as u64 % STEPS);
    if power == 0 {
        return step;
    }
    if bucket == BUCKETS - 1 {
        return u64::MAX;
    }
    ((STEPS + step + 1) << (power - 1)) - 1
}

impl Histogram {
    /// Counts a value.
    pub fn record(&mut self, value: u64) {
        if self.buckets.is_empty() {
            self.buckets = vec![0; BUCKETS];
            self.min = value;
        }
        self.buckets[bucket(value)] += 1;
        self.count += 1;
        self.sum = self.sum.saturating_add(value);
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }

    /// Number of values.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The value that the share `q` (0 to 1) of all are at or below, rounded up to its bucket's end.
    pub fn percentile(&self, q: f64) -> u64 {
        let wanted = ((self.count as f64 * q).ceil() as u64).clamp(1, self.count.max(1));
        let mut seen = 0;
        for (i, n) in self.buckets.iter().enumerate() {
            seen += n;
            if seen >= wanted {
                return upper(i).clamp(self.min, self.max);
            }
        }
        self.max
    }

    /// Count, extremes and percentiles.
    pub fn summary(&self) -> Summary {
        Summary {
            count: self.count,
            sum: self.sum,
            min: self.min,
            max: self.max,
            p50: self.percentile(0.5),
            p90: self.percentile(0.9),
            p99: self.percentile(0.99),
            p999: self.percentile(0.999),
        }
    }

    /// What came after `earlier`, an older state of this one. Its extremes are known to their buckets only.
    pub fn since(&self, earlier: &Histogram) -> Histogram {
        if earlier.count == 0 || earlier.count > self.count {
            return self.clone();
        }
        if earlier.count == self.count {
            return Histogram::default();
        }
        let mut later = Histogram {
            buckets: self.buckets.clone(),
            count: self.count - earlier.count,
            sum: self.sum.saturating_sub(earlier.sum),
            ..Histogram::default()
        };
        for (n, before) in later.buckets.iter_mut().zip(&earlier.buckets) {
            *n = n.saturating_sub(*before);
        }
        let used = |n: &u64| *n > 0;
        let first = later.buckets.iter().position(used).unwrap_or(0);
        let last = later.buckets.iter().rposition(used).unwrap_or(0);
        let below = first.checked_sub(1).map_or(0, |b| upper(b) + 1);
        later.min = below.clamp(self.min, self.max);
        later.max = upper(last).clamp(self.min, self.max);
        later
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_hold_what_they_say() {
        for value in (0..5000).chain((0..63).flat_map(|b| [(1 << b) - 1, 1 << b, (1 << b) + 1])) {
            let at = bucket(value);
            assert!(at < BUCKETS, "{value}");
            if at < BUCKETS - 1 {
                assert!(value <= upper(at), "{value} {at}");
                assert!(at == 0 || value > upper(at - 1), "{value} {at}");
                assert!(upper(at) - value <= value / STEPS, "{value} {at}");
            }
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn percentiles_are_within_a_sixteenth() {
        let mut h = Histogram::default();
        assert_eq!(h.summary(), Summary::default());
        for value in 1..=10_000 {
            h.record(value);
        }
        let s = h.summary();
        assert_eq!(
            (s.count, s.min, s.max, s.sum),
            (10_000, 1, 10_000, 50_005_000)
        );
        for (got, exact) in [(s.p50, 5000), (s.p90, 9000), (s.p99, 9900), (s.p999, 9990)] {
            assert!(
                (exact..=exact + exact / 16).contains(&got),
                "{got} for {exact}"
            );
        }
        h.record(u64::MAX);
        assert_eq!(h.percentile(1.0), u64::MAX);
    }

    #[test]
    fn what_came_since() {
        let mut h = Histogram::default();
        (0..100).for_each(|_| h.record(10));
        let before = h.clone();
        assert_eq!(h.since(&before), Histogram::default());
        (0..50).for_each(|_| h.record(1000));
        let later = h.since(&before).summary();
        assert_eq!((later.count, later.sum), (50, 50_000));
        assert!((960..=1000).contains(&later.min) && later.p50 >= 1000 && later.max >= 1000);
        assert_eq!(h.since(&Histogram::default()), h);
    }
}
