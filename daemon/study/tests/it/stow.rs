//! The outbox by STOW-RS: the same order, pauses and proof as by association.

use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use custody::event::Event;
use custody::store::{asks, deliveries};
use node::settings::Asking;

use super::outbox_support::{Box_, free_address, object};
use super::web_pacs::{Act, JSON, Request, WebPacs, failed, found, referenced, sound};

type Held = Arc<Mutex<Vec<String>>>;

/// A sound archive, and what it has.
async fn pacs() -> (WebPacs, Held) {
    let held = Held::default();
    let has = held.clone();
    (WebPacs::start(move |request| sound(&has, request)).await, held)
}

/// What an archive says that takes everything that comes.
fn taken(request: &Request) -> Act {
    Act::Say(200, JSON, referenced(&request.uid().unwrap_or_default(), None))
}

/// Waits for what no event tells.
async fn until(outbox: &Box_, is_so: impl Fn(&Box_) -> bool) {
    let wait = async {
        while !is_so(outbox) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let waited = tokio::time::timeout(super::fixtures::PATIENCE, wait).await;
    assert!(waited.is_ok(), "{:?}", outbox.list());
}

/// How many results retention must not take.
fn open(outbox: &Box_) -> usize {
    let waits = |one: &deliveries::Delivery| matches!(one.commitment.as_deref(), Some("wanted" | "asked"));
    outbox.list().iter().filter(|one| one.state == deliveries::PENDING || waits(one)).count()
}

fn states(outbox: &Box_) -> Vec<String> {
    outbox.list().into_iter().map(|delivery| delivery.state).collect()
}

fn commitments(outbox: &Box_) -> Vec<Option<String>> {
    outbox.list().into_iter().map(|delivery| delivery.commitment).collect()
}

#[tokio::test]
async fn results_are_stored_whole_in_order_with_status_and_time_as_proof() {
    let mut outbox = Box_::new();
    let (pacs, _) = pacs().await;
    let mut uids = outbox.queue(70);
    outbox.start_web(&pacs.url(), |_| {});
    outbox.until_pending(0).await;
    uids.extend(outbox.queue(3));
    outbox.until_pending(0).await;
    assert_eq!(pacs.uids(), uids);
    outbox.all_delivered_at_once();
    assert_eq!(pacs.seen()[0].part().unwrap(), object(&uids[0]));
    outbox.stop().await;
}

#[tokio::test]
async fn a_server_that_is_down_or_refuses_the_login_holds_the_queue_and_gets_everything_in_order() {
    let mut outbox = Box_::new();
    let address = free_address();
    let token = outbox.directory.path().join("token");
    let write = |text: &str| {
        std::fs::write(&token, text).unwrap();
        std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o600)).unwrap();
    };
    write("old\n");
    let uids = outbox.queue(5);
    let path = token.clone();
    outbox.start_web(&format!("http://{address}/dicom-web"), |one| one.token_file = Some(path));
    let told = |words: &'static str| move |event: &Event| matches!(event, Event::Delivery { reason: Some(reason), .. } if reason.contains(words));
    outbox.until_told(told("no connection to")).await;
    let rule = |request: &Request| match request.header("authorization") {
        "Bearer new" => taken(request),
        _ => Act::Say(401, "", String::new()),
    };
    let pacs = WebPacs::start_with(address, None, None, rule).await;
    for _ in 0..5 {
        outbox.until_told(told("HTTP 401")).await;
    }
    assert_eq!(outbox.pending(), 5);
    assert!(pacs.uids().iter().all(|uid| *uid == uids[0]), "only the first one is tried while the answer is for all");
    write("new\n");
    outbox.until_pending(0).await;
    let mut seen = pacs.uids();
    seen.dedup();
    assert_eq!(seen, uids, "a renewed token needs no restart, and the order is kept");
    outbox.stop().await;
}

#[tokio::test]
async fn an_object_that_is_refused_is_parked_and_one_that_fails_waits_by_itself() {
    let mut outbox = Box_::new();
    let left = Arc::new(AtomicUsize::new(2));
    let rule = move |request: &Request| match request.uid().unwrap_or_default().as_str() {
        "1.2.3.2" => Act::Say(409, JSON, failed("1.2.3.2", 0xa900)),
        "1.2.3.3" => Act::Say(413, "text/plain", "at most 1 MB".into()),
        "1.2.3.4" if left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() => {
            Act::Say(500, "", String::new())
        }
        "1.2.3.5" => Act::Say(202, JSON, referenced("1.2.3.5", Some(0xb000))),
        _ => taken(request),
    };
    let pacs = WebPacs::start(rule).await;
    outbox.queue(6);
    outbox.start_web(&pacs.url(), |_| {});
    outbox.until_pending(0).await;
    let delivered = deliveries::DELIVERED;
    assert_eq!(states(&outbox), [delivered, deliveries::PARKED, deliveries::PARKED, delivered, delivered, delivered]);
    let list = outbox.list();
    let said = |index: usize| (list[index].status, list[index].reason.clone().unwrap_or_default());
    assert_eq!(said(1), (Some(0xa900), "the peer answered 0xa900 (the data set does not match its SOP class)".into()));
    let (status, reason) = said(2);
    assert_eq!(status, None);
    assert_eq!(reason, "the archive answered HTTP 413 (the object is too large for it): at most 1 MB");
    assert_eq!(list[3].attempts, 3);
    assert_eq!(said(4), (Some(0xb000), "stored, with values changed by the archive".into()));
    outbox.stop().await;
}

#[tokio::test]
async fn a_full_archive_holds_the_queue_and_an_object_that_breaks_connections_is_parked() {
    let mut outbox = Box_::new();
    let full = Arc::new(AtomicU16::new(507));
    let says = full.clone();
    let rule = move |request: &Request| match (says.load(Ordering::SeqCst), request.uid().as_deref()) {
        (507, _) => Act::Say(507, "", String::new()),
        (_, Some("1.2.3.2")) => Act::HangUp,
        _ => taken(request),
    };
    let pacs = WebPacs::start(rule).await;
    let uids = outbox.queue(4);
    outbox.start_web(&pacs.url(), |_| {});
    let no_room =
        |event: &Event| matches!(event, Event::Delivery { reason: Some(reason), .. } if reason.contains("507"));
    outbox.until_told(no_room).await;
    assert!(pacs.uids().iter().all(|uid| uids[..2].contains(uid)), "two say that it is full, not only one object");
    full.store(0, Ordering::SeqCst);
    outbox.until_is(3, deliveries::DELIVERED).await;
    assert_eq!(outbox.list()[1].state, deliveries::PENDING);
    // Others show that the archive is well, until the object is to blame.
    while outbox.list()[1].state == deliveries::PENDING {
        outbox.queue(1);
        let last = outbox.list().len() - 1;
        outbox.until_is(last, deliveries::DELIVERED).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(outbox.list()[1].state, deliveries::PARKED);
    assert!(outbox.list()[1].reason.as_ref().unwrap().contains("broke: "));
    outbox.stop().await;
}

#[tokio::test]
async fn a_restart_between_answer_and_row_sends_the_same_object_again_and_doubles_nothing() {
    let mut outbox = Box_::new();
    let (mut pacs, held) = pacs().await;
    let uids = outbox.queue(40);
    outbox.start_web(&pacs.url(), |_| {});
    pacs.until_seen(5).await;
    outbox.stop().await;
    assert!(outbox.pending() > 0, "it was stopped in the middle");
    outbox.start_web(&pacs.url(), |_| {});
    outbox.until_pending(0).await;
    outbox.stop().await;
    let mut seen = held.lock().unwrap().clone();
    seen.dedup();
    assert_eq!(seen, uids);
}

#[tokio::test]
async fn what_a_query_finds_is_committed_and_nothing_may_be_evicted_before() {
    let mut outbox = Box_::new();
    outbox.commitment = Asking::Auto;
    let (pacs, _) = pacs().await;
    let uids = outbox.queue(3);
    outbox.start_web(&pacs.url(), |_| {});
    until(&outbox, |outbox| open(outbox) == 0).await;
    assert_eq!(commitments(&outbox), vec![Some(asks::COMMITTED.to_owned()); 3]);
    assert_eq!(asks::offers(&outbox.rows, "pacs").unwrap(), Some(true));
    assert_eq!(pacs.seen().iter().filter_map(Request::asked).collect::<Vec<_>>(), uids, "each is asked for once");
    outbox.stop().await;
}

#[tokio::test]
async fn an_archive_that_shows_an_object_late_is_asked_again_and_not_sent_it_again() {
    let mut outbox = Box_::new();
    outbox.commitment = Asking::Auto;
    let asked = AtomicUsize::new(0);
    let rule = move |request: &Request| match request.asked() {
        Some(uid) if asked.fetch_add(1, Ordering::SeqCst) >= 2 => Act::Say(200, JSON, found(&uid)),
        Some(_) => Act::Say(204, "", String::new()),
        None => taken(request),
    };
    let pacs = WebPacs::start(rule).await;
    let uids = outbox.queue(1);
    outbox.start_web(&pacs.url(), |_| {});
    until(&outbox, |outbox| open(outbox) == 0).await;
    assert_eq!(commitments(&outbox), [Some(asks::COMMITTED.to_owned())]);
    assert_eq!(pacs.uids(), uids);
    outbox.stop().await;
}

#[tokio::test]
async fn what_an_archive_took_and_does_not_have_is_sent_again_and_parked_in_the_end() {
    let mut outbox = Box_::new();
    outbox.commitment = Asking::Auto;
    // It loses whatever it takes, and has something else.
    let rule = |request: &Request| match request.asked() {
        Some(_) => Act::Say(200, JSON, found("1.2.3.999")),
        None => taken(request),
    };
    let pacs = WebPacs::start(rule).await;
    outbox.queue(1);
    outbox.start_web(&pacs.url(), |_| {});
    until(&outbox, |outbox| outbox.list()[0].state == deliveries::PARKED).await;
    let row = outbox.list().remove(0);
    assert_eq!(row.reason.unwrap(), "the archive took it and does not keep it (storage commitment: 0x0112)");
    let (stored, asked) = (pacs.uids().len(), pacs.seen().iter().filter_map(Request::asked).count());
    assert_eq!((stored, asked), (5, 15), "sent five times, asked for three times each");
    outbox.stop().await;
}

#[tokio::test]
async fn an_archive_that_answers_no_questions_is_remembered_and_waited_for_only_where_that_is_wanted() {
    for (commitment, left) in [(Asking::Auto, None), (Asking::Ask, Some(asks::WANTED.to_owned()))] {
        let mut outbox = Box_::new();
        outbox.commitment = commitment;
        let rule = |request: &Request| match request.asked() {
            Some(_) => Act::Say(404, "", String::new()),
            None => taken(request),
        };
        let pacs = WebPacs::start(rule).await;
        outbox.queue(2);
        outbox.start_web(&pacs.url(), |_| {});
        let offers = |outbox: &Box_| asks::offers(&outbox.rows, "pacs").unwrap();
        until(&outbox, |outbox| offers(outbox).is_some() && commitments(outbox) == vec![left.clone(); 2]).await;
        outbox.stop().await;
        assert!(pacs.seen().iter().filter_map(Request::asked).count() >= 2, "by query, and for metadata");
        assert_eq!(asks::offers(&outbox.rows, "pacs").unwrap(), Some(false));
        assert_eq!(states(&outbox), [deliveries::DELIVERED, deliveries::DELIVERED]);
        assert_eq!(open(&outbox), if commitment == Asking::Ask { 2 } else { 0 }, "what retention may not take");
    }
}

#[tokio::test]
async fn a_question_that_is_refused_does_not_end_the_proof_and_answers_before_it_count() {
    // To the second object: a refusal, HTML, and nothing known; each after the archive has answered for the first.
    // What it refuses counts as a question, and is put again after a long pause.
    for (code, body, left, requests) in [
        (401, "", asks::ASKED, 5),
        (302, "", asks::ASKED, 5),
        (400, "", asks::WANTED, 8),
        (200, "<html>", asks::WANTED, 8),
    ] {
        let mut outbox = Box_::new();
        outbox.commitment = Asking::Auto;
        let rule = move |request: &Request| match request.asked().as_deref() {
            Some("1.2.3.1") => Act::Say(200, JSON, found("1.2.3.1")),
            Some("1.2.3.2") => Act::Say(code, "text/html", body.into()),
            Some(uid) => Act::Say(200, JSON, found(uid)),
            None => taken(request),
        };
        let mut pacs = WebPacs::start(rule).await;
        outbox.queue(2);
        outbox.start_web(&pacs.url(), |_| {});
        until(&outbox, |outbox| commitments(outbox)[0].as_deref() == Some(asks::COMMITTED)).await;
        pacs.until_seen(requests).await;
        until(&outbox, |outbox| commitments(outbox)[1].as_deref() == Some(left)).await;
        outbox.stop().await;
        assert_eq!(open(&outbox), 1, "{code}: retention must not take it");
        assert_eq!(asks::offers(&outbox.rows, "pacs").unwrap(), Some(true), "{code}");
    }
}

/// As with a token that is for STOW-RS alone.
#[tokio::test]
async fn an_archive_that_refuses_every_question_is_not_asked_for_ever() {
    let mut outbox = Box_::new();
    outbox.commitment = Asking::Auto;
    // 0.3 s; after a question that was refused an eighth of it.
    outbox.commitment_days = 0.3 / 86_400.0;
    let rule = |request: &Request| match request.asked() {
        Some(_) => Act::Say(403, "", String::new()),
        None => taken(request),
    };
    let pacs = WebPacs::start(rule).await;
    outbox.queue(2);
    outbox.start_web(&pacs.url(), |_| {});
    until(&outbox, |outbox| open(outbox) == 0).await;
    outbox.stop().await;
    assert_eq!(commitments(&outbox), [Some(asks::UNANSWERED.to_owned()), Some(asks::UNANSWERED.to_owned())]);
}

#[tokio::test]
async fn one_object_at_whose_question_the_archive_fails_does_not_keep_the_others_unproven() {
    let mut outbox = Box_::new();
    outbox.commitment = Asking::Auto;
    let rule = |request: &Request| match request.asked().as_deref() {
        Some("1.2.3.1") => Act::Say(500, "", String::new()),
        Some(uid) => Act::Say(200, JSON, found(uid)),
        None => taken(request),
    };
    let pacs = WebPacs::start(rule).await;
    outbox.queue(3);
    outbox.start_web(&pacs.url(), |_| {});
    until(&outbox, |outbox| open(outbox) == 0).await;
    let committed = Some(asks::COMMITTED.to_owned());
    assert_eq!(commitments(&outbox), [Some(asks::UNANSWERED.to_owned()), committed.clone(), committed]);
    outbox.stop().await;
}

/// It is asked for after the others the next time, and after the third time nothing waits for its answer.
#[tokio::test]
async fn one_object_at_whose_question_the_archive_hangs_up_does_not_keep_the_others_unproven() {
    let mut outbox = Box_::new();
    outbox.commitment = Asking::Auto;
    let rule = |request: &Request| match request.asked().as_deref() {
        Some("1.2.3.1") => Act::HangUp,
        Some(uid) => Act::Say(200, JSON, found(uid)),
        None => taken(request),
    };
    let pacs = WebPacs::start(rule).await;
    outbox.queue(3);
    outbox.start_web(&pacs.url(), |_| {});
    until(&outbox, |outbox| open(outbox) == 0).await;
    let committed = Some(asks::COMMITTED.to_owned());
    assert_eq!(commitments(&outbox), [Some(asks::UNANSWERED.to_owned()), committed.clone(), committed]);
    outbox.stop().await;
}

/// Microsoft's server says so (409, reason 45070) when it has the object: after an answer that was lost this box would send for ever.
#[tokio::test]
async fn an_object_that_the_archive_says_it_has_already_is_delivered_when_a_query_finds_it() {
    for (has, reason) in [(true, 45070), (true, 0), (false, 45070)] {
        let mut outbox = Box_::new();
        let rule = move |request: &Request| match (request.uid(), request.asked()) {
            (Some(uid), _) => Act::Say(409, JSON, failed(&uid, reason)),
            (None, Some(uid)) if has => Act::Say(200, JSON, found(&uid)),
            (None, _) => Act::Say(204, "", String::new()),
        };
        let mut pacs = WebPacs::start(rule).await;
        outbox.queue(1);
        outbox.start_web(&pacs.url(), |_| {});
        if has {
            outbox.until_pending(0).await;
        } else {
            pacs.until_seen(4).await;
        }
        outbox.stop().await;
        let row = outbox.list().remove(0);
        let state = if has { deliveries::DELIVERED } else { deliveries::PENDING };
        assert_eq!((row.state.as_str(), row.status), (state, Some(if has { 0 } else { 0x0110 })), "{row:?}");
    }
}

#[tokio::test]
async fn a_proxy_that_answers_400_to_everything_parks_nothing_and_one_bad_object_is_parked_behind_the_others() {
    let mut outbox = Box_::new();
    let is_well = Arc::new(AtomicUsize::new(0));
    let well = is_well.clone();
    let rule = move |request: &Request| match (well.load(Ordering::SeqCst), request.uid().as_deref()) {
        (0, _) | (_, Some("1.2.3.2")) => Act::Say(400, "text/html", "<html>plain HTTP to HTTPS port</html>".into()),
        _ => taken(request),
    };
    let mut pacs = WebPacs::start(rule).await;
    outbox.queue(3);
    outbox.start_web(&pacs.url(), |_| {});
    pacs.until_seen(20).await;
    assert_eq!(states(&outbox), [deliveries::PENDING; 3]);
    is_well.store(1, Ordering::SeqCst);
    outbox.until_pending(0).await;
    assert_eq!(states(&outbox), [deliveries::DELIVERED, deliveries::PARKED, deliveries::DELIVERED]);
    assert!(outbox.list()[1].reason.as_ref().unwrap().contains("HTTP 400"));
    outbox.stop().await;
}
