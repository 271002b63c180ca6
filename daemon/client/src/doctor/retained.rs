//! Whether eviction keeps a full disk in order. A disk that has been full once stays so: what is needed goes as new studies
//! come, and the room above the reserve is small for ever. That is no trouble while there is enough that may go.

use custody::retention::{Retention, What, Why};
use serde::Serialize;

/// Bytes of one CT study: 500 slices of 512 x 512 pixels, 16 bits.
pub const STUDY: u64 = 500 * 512 * 512 * 2;
/// Room for fewer is told.
pub const FEW_STUDIES: u64 = 20;

/// What `ShowRetention` says of room; numbers only, since the facts go into the bundle.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Retained {
    /// Below so many free bytes eviction begins.
    pub evict_below_bytes: u64,
    /// Below so many free bytes studies are refused.
    pub min_free_bytes: u64,
    /// Received objects that go when their turn comes.
    pub evictable_bytes: u64,
}

impl From<&Retention> for Retained {
    fn from(told: &Retention) -> Self {
        let evictable = told.kept.iter().filter(|kept| kept.what == What::Objects && kept.why == Why::Evictable);
        Self {
            evict_below_bytes: told.policy.evict_below_bytes,
            min_free_bytes: told.policy.min_free_bytes,
            evictable_bytes: evictable.map(|kept| kept.bytes).sum(),
        }
    }
}

impl Retained {
    /// Whether so much may be evicted that a disk with `free` bytes, which are room for `left` studies, is not near its end:
    /// what is missing to the threshold of eviction, and at least twenty studies.
    pub fn lasts(&self, free: u64, left: u64) -> bool {
        // Where studies are refused before eviction begins, it does not begin.
        let begins = self.evict_below_bytes > self.min_free_bytes;
        let reaches = free.saturating_add(self.evictable_bytes) >= self.evict_below_bytes;
        let study = (free.saturating_sub(self.min_free_bytes) / left.max(1)).max(STUDY);
        begins && reaches && self.evictable_bytes / study >= FEW_STUDIES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn with(evictable_gib: u64) -> Retained {
        Retained { evict_below_bytes: 10 * GIB, min_free_bytes: 2 * GIB, evictable_bytes: evictable_gib * GIB }
    }

    #[test]
    fn a_full_disk_lasts_while_enough_can_be_evicted() {
        // What a busy CT leaves free for ever, by the defaults.
        assert!(with(400).lasts(10 * GIB, 16));
        assert!(with(400).lasts(9 * GIB, 14), "until the next look");
        assert!(!with(0).lasts(10 * GIB, 16), "nothing was delivered");
        assert!(!with(5).lasts(10 * GIB, 16), "ten studies, and no more");
        assert!(!with(5).lasts(4 * GIB, 4), "eviction does not reach its threshold");
        let never = Retained { evict_below_bytes: 0, ..with(400) };
        assert!(!never.lasts(10 * GIB, 16), "nothing is evicted");
    }

    #[test]
    fn only_received_objects_that_nothing_keeps_count_as_evictable() {
        let told: Retention = serde_json::from_str(
            r#"{"policy": {"evict_below_bytes": 10, "min_free_bytes": 2, "keep_days": 0, "ages_count": true, "segment_bytes": 1},
                "disk": {"free_bytes": 5, "total_bytes": 100}, "besides": [],
                "kept": [{"what": "objects", "why": "evictable", "count": 1, "bytes": 30},
                         {"what": "objects", "why": "undelivered", "count": 1, "bytes": 40},
                         {"what": "results", "why": "evictable", "count": 1, "bytes": 5}],
                "forecast": {"bytes_per_day": null, "observed_days": 0.0, "days_left": null, "because": null},
                "next": [], "next_left_out": 0, "holds": []}"#,
        )
        .unwrap();
        let retained = Retained { evict_below_bytes: 10, min_free_bytes: 2, evictable_bytes: 30 };
        assert_eq!(Retained::from(&told), retained);
    }
}
