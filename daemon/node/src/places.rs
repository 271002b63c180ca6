//! The places of associations. One peer may use every place that is free, but in a full house it makes room for peers
//! that hold less than their share, and whoever is idle goes first. No I/O.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// Idle for so long, an association makes room for any newcomer within its share.
const IDLE_ENOUGH: Duration = Duration::from_secs(10);

/// What counts as one peer: the address; with IPv6 the network of a subscriber, 64 bits, because a machine can take any
/// address in it.
pub fn subscriber(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) if !address.is_loopback() => {
            IpAddr::V6(Ipv6Addr::from(u128::from(address) & !u128::from(u64::MAX)))
        }
        address => address,
    }
}

#[derive(Debug)]
struct Seat {
    association: u64,
    peer: IpAddr,
    in_message: bool,
    /// Of this message, or of the silence after the last one.
    since: Instant,
    leave: Arc<Notify>,
}

#[derive(Debug)]
struct House {
    seats: Vec<Seat>,
    limit: usize,
}

impl House {
    fn held_by(&self, peer: IpAddr) -> usize {
        self.seats.iter().filter(|seat| seat.peer == peer).count()
    }

    /// What a peer may hold in a full house.
    fn share(&self) -> usize {
        (self.limit / 4).max(1)
    }

    /// Which seat makes room for a newcomer from `peer`; `None` if none does.
    ///
    /// A newcomer above its share may replace only its own idle associations. Otherwise a peer could push out all
    /// others by calling again and again.
    fn who_leaves(&self, peer: IpAddr) -> Option<usize> {
        let share = self.share();
        let within_share = self.held_by(peer) < share;
        let oldest = |may_leave: &dyn Fn(&Seat) -> bool| {
            let leaving = self.seats.iter().enumerate().filter(|(_, seat)| may_leave(seat));
            leaving.min_by_key(|(_, seat)| seat.since).map(|(index, _)| index)
        };
        let idle = |seat: &Seat| !seat.in_message;
        let idle_enough = |seat: &Seat| idle(seat) && seat.since.elapsed() >= IDLE_ENOUGH;
        if !within_share {
            return oldest(&|seat| seat.peer == peer && idle_enough(seat));
        }
        let greedy = |seat: &Seat| self.held_by(seat.peer) > share;
        oldest(&idle_enough)
            .or_else(|| oldest(&|seat| greedy(seat) && idle(seat)))
            .or_else(|| oldest(&|seat| greedy(seat)))
    }
}

/// The places of all associations.
#[derive(Debug, Clone)]
pub(super) struct Places(Arc<Mutex<House>>);

impl Places {
    pub(super) fn new(limit: usize) -> Self {
        Self(Arc::new(Mutex::new(House { seats: Vec::new(), limit })))
    }

    /// A place for an association with `peer`; `None` if all are taken and none makes room.
    pub(super) fn take(&self, association: u64, peer: IpAddr) -> Option<Place> {
        let peer = subscriber(peer);
        let mut house = self.house();
        if house.seats.len() >= house.limit {
            let leaving = house.who_leaves(peer)?;
            house.seats.remove(leaving).leave.notify_one();
        }
        let (leave, since) = (Arc::new(Notify::new()), Instant::now());
        house.seats.push(Seat { association, peer, in_message: false, since, leave: leave.clone() });
        Some(Place { places: self.clone(), association, leave, in_message: false })
    }

    fn house(&self) -> MutexGuard<'_, House> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of one association; free again when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Places,
    association: u64,
    leave: Arc<Notify>,
    in_message: bool,
}

impl Place {
    /// Tells whether a message is being received; the time counts from each change.
    pub(super) fn set_in_message(&mut self, in_message: bool) {
        if self.in_message == in_message {
            return;
        }
        self.in_message = in_message;
        self.touch(in_message);
    }

    /// A message without a data set was answered: the silence begins anew.
    pub(super) fn heard(&self) {
        self.touch(self.in_message);
    }

    /// Waits until this association must make room.
    pub(super) async fn must_leave(&self) {
        self.leave.notified().await;
    }

    fn touch(&self, in_message: bool) {
        let mut house = self.places.house();
        if let Some(seat) = house.seats.iter_mut().find(|seat| seat.association == self.association) {
            (seat.in_message, seat.since) = (in_message, Instant::now());
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.house().seats.retain(|seat| seat.association != self.association);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    const GREEDY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));
    const THIRD: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 3));

    fn full_of(peer: IpAddr, limit: usize) -> (Places, Vec<Place>) {
        let places = Places::new(limit);
        let all = (0..limit as u64).map(|number| places.take(number, peer).unwrap()).collect();
        (places, all)
    }

    fn leaves(place: &Place) -> bool {
        place.must_leave().now_or_never().is_some()
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_above_its_share_makes_room_and_its_longest_idle_association_goes_first() {
        let (places, mut all) = full_of(GREEDY, 8);
        all[0].set_in_message(true);
        tokio::time::advance(Duration::from_millis(1)).await;
        all[1].heard();
        let _second = places.take(100, OTHER).unwrap();
        assert!(leaves(&all[2]) && !leaves(&all[0]) && !leaves(&all[1]));
        for place in &mut all[1..] {
            place.set_in_message(true);
        }
        let _third = places.take(101, OTHER).unwrap();
        assert!(leaves(&all[0]), "all are busy: the one that is longest in its message");
        assert!(places.take(102, OTHER).is_none(), "two of eight are the share of this one");
        assert!(places.take(103, THIRD).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_above_its_share_replaces_only_its_own_idle_associations() {
        let (places, all) = full_of(GREEDY, 8);
        let other = places.take(100, OTHER).unwrap();
        assert!(leaves(&all[0]));
        assert!(places.take(101, GREEDY).is_none());
        tokio::time::advance(IDLE_ENOUGH).await;
        assert!(places.take(102, GREEDY).is_some());
        assert!(leaves(&all[1]) && !leaves(&other));
    }

    #[tokio::test(start_paused = true)]
    async fn in_a_house_where_nobody_is_greedy_the_idle_make_room_and_the_busy_do_not() {
        let places = Places::new(4);
        let mut all: Vec<_> =
            (1..=4).map(|last| places.take(last, IpAddr::from([192, 0, 2, 10 + last as u8])).unwrap()).collect();
        assert!(places.take(100, OTHER).is_none(), "nobody has been idle for long");
        tokio::time::advance(IDLE_ENOUGH).await;
        all[0].set_in_message(true);
        assert!(places.take(101, OTHER).is_some());
        assert!(leaves(&all[1]) && !leaves(&all[0]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_that_was_left_is_free() {
        let (places, all) = full_of(GREEDY, 2);
        assert!(places.take(100, GREEDY).is_none());
        drop(all);
        assert!(places.take(101, GREEDY).is_some());
        assert_eq!(places.house().seats.len(), 0);
    }

    #[test]
    fn addresses_of_one_subscriber_count_as_one() {
        let of = |text: &str| subscriber(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2::7"), of("2001:db8:1:2:ffff::1"));
        assert_ne!(of("2001:db8:1:2::7"), of("2001:db8:1:3::7"));
        assert_eq!(of("::ffff:192.0.2.1"), GREEDY);
        assert_eq!(of("::1"), IpAddr::V6(Ipv6Addr::LOCALHOST));
    }
}
