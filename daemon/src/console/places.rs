//! Who gets a connection to the page. Places are kept apart for this machine, for addresses from which somebody is
//! logged in, and for strangers, so that no crowd can shut out those whom the page is for. No I/O.
//!
//! A full room is not closed: the connection that has done least ends and the new one takes its place. So connections
//! that are held and not used keep nobody out.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use node::subscriber;
use tokio::sync::Notify;

/// Whom an address stands for when it connects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guest {
    /// This machine: the kiosk.
    Here,
    /// Somebody is logged in from this address.
    LoggedIn,
    Stranger,
}

impl Guest {
    /// The most connections: of all such guests, and of one address among them. Browsers open six at a time.
    fn limits(self) -> (usize, usize) {
        match self {
            Self::Here => (32, 32),
            Self::LoggedIn => (64, 24),
            Self::Stranger => (32, 8),
        }
    }
}

/// What a connection has done so far; whoever has done least makes room first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Deeds {
    Nothing,
    Asked,
    /// It showed the cookie of a login. It never makes room.
    Proved,
}

#[derive(Debug)]
struct Seat {
    number: u64,
    address: IpAddr,
    guest: Guest,
    deeds: Deeds,
    leave: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Room {
    /// Oldest first.
    seats: Vec<Seat>,
    next: u64,
}

impl Room {
    /// Returns number and bell of the new seat; `None` if nobody can make room.
    fn take(&mut self, address: IpAddr, guest: Guest) -> Option<(u64, Arc<Notify>)> {
        let (of_all, of_one) = guest.limits();
        let counted = |seat: &&Seat| seat.guest == guest;
        let all = self.seats.iter().filter(counted).count();
        let from_there = self.seats.iter().filter(counted).filter(|seat| seat.address == address).count();
        if from_there >= of_one {
            self.make_room(|seat| seat.guest == guest && seat.address == address)?;
        } else if all >= of_all {
            self.make_room(|seat| seat.guest == guest)?;
        }
        let (number, leave) = (self.next, Arc::new(Notify::new()));
        self.next += 1;
        self.seats.push(Seat { number, address, guest, deeds: Deeds::Nothing, leave: leave.clone() });
        Some((number, leave))
    }

    /// Ends the oldest of those that have done least.
    fn make_room(&mut self, of: impl Fn(&Seat) -> bool) -> Option<()> {
        let movable = self.seats.iter().enumerate().filter(|(_, seat)| of(seat) && seat.deeds < Deeds::Proved);
        let (index, _) = movable.min_by_key(|(_, seat)| (seat.deeds, seat.number))?;
        self.seats.remove(index).leave.notify_one();
        Some(())
    }
}

/// The places of all connections to the page.
#[derive(Debug, Clone, Default)]
pub struct Places(Arc<Mutex<Room>>);

impl Places {
    /// A place for a new connection; `None` if there is none and nobody can make room.
    pub fn take(&self, address: IpAddr, guest: Guest) -> Option<Place> {
        let (number, leave) = self.room().take(subscriber(address), guest)?;
        Some(Place { places: self.clone(), number, leave, guest })
    }

    fn room(&self) -> MutexGuard<'_, Room> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of one connection; free again when it is dropped.
#[derive(Debug)]
pub struct Place {
    places: Places,
    number: u64,
    leave: Arc<Notify>,
    guest: Guest,
}

impl Place {
    pub fn guest(&self) -> Guest {
        self.guest
    }

    /// A whole request has come.
    pub fn asked(&self) {
        self.raise(Deeds::Asked);
    }

    /// A request has shown the cookie of a login.
    pub fn proved(&self) {
        self.raise(Deeds::Proved);
    }

    pub fn has_proved(&self) -> bool {
        self.places.room().seats.iter().any(|seat| seat.number == self.number && seat.deeds == Deeds::Proved)
    }

    /// Waits until this connection must end to make room.
    pub async fn must_leave(&self) {
        self.leave.notified().await;
    }

    fn raise(&self, to: Deeds) {
        if let Some(seat) = self.places.room().seats.iter_mut().find(|seat| seat.number == self.number) {
            seat.deeds = seat.deeds.max(to);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.room().seats.retain(|seat| seat.number != self.number);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    fn must_leave(place: &Place) -> bool {
        place.must_leave().now_or_never().is_some()
    }

    #[test]
    fn a_crowd_of_strangers_takes_no_place_of_the_kiosk_or_of_who_is_logged_in() {
        let places = Places::default();
        let crowd: Vec<_> = (0..200).filter_map(|last| places.take(address(last), Guest::Stranger)).collect();
        assert_eq!(crowd.len(), 200, "each takes the place of an older one");
        assert_eq!(places.room().seats.len(), Guest::Stranger.limits().0);
        let kiosk = places.take(IpAddr::from([127, 0, 0, 1]), Guest::Here).unwrap();
        let tablet = places.take(address(1), Guest::LoggedIn).unwrap();
        assert!(!must_leave(&kiosk) && !must_leave(&tablet));
    }

    #[test]
    fn one_address_pushes_out_only_itself() {
        let places = Places::default();
        let other = places.take(address(1), Guest::Stranger).unwrap();
        let greedy: Vec<_> = (0..100).map(|_| places.take(address(2), Guest::Stranger).unwrap()).collect();
        assert!(!must_leave(&other) && must_leave(&greedy[0]) && !must_leave(&greedy[99]));
        assert_eq!(places.room().seats.len(), 1 + Guest::Stranger.limits().1);
    }

    #[test]
    fn who_has_asked_nothing_goes_first_and_who_has_proved_a_login_stays() {
        let places = Places::default();
        let seats: Vec<_> = (0..24).map(|_| places.take(address(1), Guest::LoggedIn).unwrap()).collect();
        for seat in &seats[..10] {
            seat.asked();
        }
        let _newest = places.take(address(1), Guest::LoggedIn).unwrap();
        assert!(must_leave(&seats[10]) && !must_leave(&seats[0]), "the oldest that has asked nothing");
        for seat in &seats {
            seat.proved();
        }
        _newest.proved();
        assert!(_newest.has_proved() && places.take(address(1), Guest::LoggedIn).is_none());
        drop(seats);
        assert!(places.take(address(1), Guest::LoggedIn).is_some(), "a place is free again when it is dropped");
    }
}
