//! The live page in a real browser, with a simulated live path. The page shows the video, says what is wrong, recovers,
//! can be used without a mouse, and requests nothing from other hosts than the box. Screenshots are written to
//! `out/console`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::player::Player;
use crate::words::in_chinese;
use hal::sensors::condition::Condition;
use hal::sensors::{Readings, Zone};
use hil_tests::browser::Browser;
use hil_tests::tools;
use live::guidance as words;
use live::view::{Guidance, Sign};
use live::worklist::Worklist;
use live::worklist::served::{self, Answer};
use models::findings::Side;
use models::task::us_breast::scan::Unjudged;
use models::task::us_breast::scan::contact::{self, Contact};
use models::task::us_breast::scan::coverage::Quality;
use models::task::us_breast::scan::probe::{Probe, Spot};
use needs::Lack;
use scansided::health::heat;

/// The time that the page promises until it shows video with overlay.
const SHOWS_WITHIN: Duration = Duration::from_secs(2);
/// For everything else; long, because the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(15);

fn screenshot(name: &str) -> PathBuf {
    tools::workspace().join("out/console").join(name)
}

/// A browser and a page with moving video; `None`, and the test is skipped, where there is no Chromium.
async fn watching(width: u32, height: u32) -> Option<(Browser, Player)> {
    let Some(mut browser) = Browser::start(width, height).await.unwrap() else {
        needs::skip(Lack::Software, "no chromium");
        return None;
    };
    let player = Player::start().await;
    browser.open(&player.url()).await.unwrap();
    Some((browser, player))
}

const MOVING: &str = "Number(document.getElementById('picture').dataset.sequence ?? 0) > 5
    && document.querySelectorAll('#overlay polygon.outline').length === 2";

fn sign_says(state: &str, word: &str) -> String {
    format!(
        "document.getElementById('sign').dataset.state === '{state}'
         && document.getElementById('sign').textContent.includes('{word}')"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_shows_moving_video_with_overlay_within_two_seconds_and_asks_nobody_else() {
    let Some((mut browser, player)) = watching(1280, 800).await else { return };
    let took = browser.wait("video with overlay", SHOWS_WITHIN, MOVING).await.unwrap();
    println!("video with overlay after {} ms", took.as_millis());
    let at = "document.getElementById('picture').dataset.sequence";
    let first = browser.evaluate(at).await.unwrap();
    browser
        .wait("the next pictures", PATIENCE, &format!("Number({at}) > {} + 10", first.as_str().unwrap()))
        .await
        .unwrap();

    // The overlay is a separate layer: the picture below it is still grey.
    let coloured = "(() => { const c = document.getElementById('picture');
        const p = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; let most = 0;
        for (let i = 0; i < p.length; i += 4) most = Math.max(most, Math.abs(p[i] - p[i + 2])); return most; })()";
    assert!(browser.evaluate(coloured).await.unwrap().as_u64().unwrap() <= 2, "something is drawn into the picture");
    // ... and it is where the lesion is.
    let off = "(() => { const c = document.getElementById('picture').getBoundingClientRect();
        const scale = Math.min(c.width / 1280, c.height / 720);
        const box = document.querySelector('polygon.outline[data-id=\"1\"]').getBBox();
        const shown = document.querySelector('polygon.outline[data-id=\"1\"]').getBoundingClientRect();
        const x = c.left + (c.width - 1280 * scale) / 2 + (box.x + box.width / 2) * scale;
        return Math.abs(x - (shown.left + shown.width / 2)); })()";
    assert!(browser.evaluate(off).await.unwrap().as_f64().unwrap() < 2.0, "overlay and picture do not fit");
    let text = |id: &str| format!("document.getElementById('{id}').textContent");
    assert_eq!(browser.evaluate(&text("mark")).await.unwrap(), "not for diagnosis");
    let listed = browser.evaluate(&text("lesions")).await.unwrap();
    for word in ["Lesion 1", "Lesion 2", "14.2 × 9.0 mm", "score 0.12", "score 0.86", "irregular"] {
        assert!(listed.as_str().unwrap().contains(word), "{word}: {listed}");
    }
    browser
        .wait(
            "the latency",
            PATIENCE,
            "/overlay \\d+ ms old.*capture to overlay/.test(document.getElementById('latency').textContent)",
        )
        .await
        .unwrap();
    browser.screenshot(&screenshot("ready.png")).await.unwrap();

    let here = player.address();
    assert!(browser.addresses().len() > 10, "{:?}", browser.addresses());
    for address in browser.addresses() {
        assert!(
            [format!("http://{here}/"), format!("ws://{here}/")].iter().any(|ours| address.starts_with(ours)),
            "{address} is asked for"
        );
    }
    assert_eq!(browser.complaints(), [] as [String; 0]);
    player.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_sign_has_words_and_a_shape_and_a_lost_signal_recovers_by_itself() {
    let Some((mut browser, player)) = watching(1280, 800).await else { return };
    browser.wait("video", PATIENCE, MOVING).await.unwrap();
    let reason = |text: &str| text.to_owned();
    let states = [
        ("no_signal", "No signal", Sign::NoSignal { reason: reason("the cable is unplugged") }),
        ("no_overlay", "No overlay", Sign::NoOverlay { reason: reason("the model is slow") }),
        ("paused", "Paused", Sign::Paused { reason: reason("the scanner's picture is frozen") }),
        ("failed", "Failed", Sign::Failed { reason: reason("the capture device does not answer") }),
    ];
    let mut shapes = std::collections::BTreeSet::new();
    for (state, word, sign) in states {
        let running = matches!(sign, Sign::NoOverlay { .. } | Sign::Paused { .. });
        player.sign(sign, running);
        browser.wait(word, PATIENCE, &sign_says(state, word)).await.unwrap();
        // Longer than an overlay is shown.
        browser.wait("no overlay", PATIENCE, "document.querySelectorAll('#overlay *').length === 0").await.unwrap();
        let shape = browser.evaluate("document.getElementById('sign-shape').getAttribute('href')").await.unwrap();
        shapes.insert(shape.as_str().unwrap().to_owned());
        browser.screenshot(&screenshot(&format!("{state}.png"))).await.unwrap();
        assert_eq!(browser.evaluate("document.getElementById('mark').hidden").await.unwrap(), false);
    }
    assert_eq!(shapes.len(), 4, "{shapes:?}");
    player.sign(Sign::Ready, true);
    browser.wait("recovery", SHOWS_WITHIN, &sign_says("ready", "Ready")).await.unwrap();
    browser.wait("the overlay again", SHOWS_WITHIN, MOVING).await.unwrap();
    player.stop().await;
}

/// Whoever stands before the box can clean its filter.
#[tokio::test(flavor = "multi_thread")]
async fn a_hot_box_says_so_in_the_language_of_the_browser_beside_the_moving_picture() {
    let Some((mut browser, player)) = watching(1280, 800).await else { return };
    browser.wait("video", PATIENCE, MOVING).await.unwrap();
    let says = |words: &str| {
        format!(
            "(() => {{ const label = document.getElementById('heat');
                return !label.hidden && label.textContent.includes('{words}'); }})()"
        )
    };
    assert_eq!(browser.evaluate("document.getElementById('heat').hidden").await.unwrap(), true);
    let hot = |celsius, condition| {
        let zone = Zone { name: "cpu-thermal".into(), celsius, limit_celsius: Some(95.0), ..Zone::default() };
        let readings = Arc::new(Readings { zones: vec![zone], ..Readings::default() });
        heat::Report { condition, readings, looked: true, ..heat::Report::default() }
    };
    player.heat.send_replace(hot(93.6, Condition::Hot));
    browser.wait("the heat", PATIENCE, &says("(cpu-thermal: 94 °C, its limit is 95 °C)")).await.unwrap();
    browser.screenshot(&screenshot("hot.png")).await.unwrap();
    browser.evaluate("Object.defineProperty(navigator, 'language', { get: () => 'zh-CN' }) && 1").await.unwrap();
    player.heat.send_replace(hot(96.2, Condition::Throttled));
    browser.wait("the heat in Chinese", PATIENCE, &says("（cpu-thermal：96 °C，上限 95 °C）")).await.unwrap();
    browser.screenshot(&screenshot("throttled-zh.png")).await.unwrap();
    browser.wait("video beside it", PATIENCE, MOVING).await.unwrap();
    player.heat.send_replace(hot(60.0, Condition::Normal));
    browser.wait("nothing", PATIENCE, "document.getElementById('heat').hidden").await.unwrap();
    player.stop().await;
}

/// Where the probe is, by key and by tap; and what of the breast was looked at.
#[tokio::test(flavor = "multi_thread")]
async fn the_clock_face_shows_what_was_looked_at_and_the_probe_is_moved_by_key_and_tap() {
    let Some((mut browser, player)) = watching(1280, 1000).await else { return };
    browser.wait("video", PATIENCE, MOVING).await.unwrap();
    assert_eq!(browser.evaluate("document.getElementById('map').hidden").await.unwrap(), true, "no exam runs");
    player.begin_for_nobody();
    browser.wait("the map", PATIENCE, "!document.getElementById('map').hidden").await.unwrap();
    let zones = "document.querySelectorAll('#clock-left .zone').length";
    assert_eq!(browser.evaluate(zones).await.unwrap(), 38);
    browser.press("l").await.unwrap();
    browser.wait("the side", PATIENCE, "document.getElementById('side').textContent === 'left breast'").await.unwrap();
    let here = |spot: &str| {
        format!(
            "document.querySelector('.zone.here')?.dataset.spot === '{spot}' && document.querySelector('.zone.here').dataset.side === 'left'"
        )
    };
    for (key, spot) in
        [("ArrowRight", "12-inner"), ("ArrowRight", "1-inner"), ("ArrowUp", "1-middle"), ("ArrowLeft", "12-middle")]
    {
        browser.press(key).await.unwrap();
        browser.wait(spot, PATIENCE, &here(spot)).await.unwrap();
    }
    let tap =
        "document.querySelector('#clock-left [data-spot=\"3-inner\"]').dispatchEvent(new MouseEvent('click')) && 1";
    browser.evaluate(tap).await.unwrap();
    browser.wait("the tapped place", PATIENCE, &here("3-inner")).await.unwrap();
    browser.press("t").await.unwrap();
    let turned = "document.getElementById('turn').textContent.includes('Radial')";
    browser.wait("the plane", PATIENCE, turned).await.unwrap();

    let mut guidance = Guidance { items: words::none(Unjudged::NoScale), ..Guidance::default() };
    let contact = Contact { strips: Vec::new(), without: 0.4, word: contact::Word::PoorLeft };
    guidance.items[0] = words::contact(Ok(contact.word), Some(&contact));
    let probe = |spot: &str| Probe { spot: Spot::named(spot).unwrap(), plane: None };
    for (spot, quality) in
        [("3-inner", Quality::Good(10.0)), ("4-inner", Quality::TooFast), ("5-inner", Quality::PoorContact)]
    {
        guidance.coverage.add(Side::Left, probe(spot), 3.0, quality);
    }
    player.guide.send_replace(Arc::new(guidance.clone()));
    let state = |spot: &str| format!("document.querySelector('#clock-left [data-spot=\"{spot}\"]').dataset.state");
    browser.wait("the map of the exam", PATIENCE, &format!("{} === 'looked_at'", state("3-inner"))).await.unwrap();
    for (spot, expected) in [("4-inner", "too_fast"), ("5-inner", "poor_contact"), ("6-inner", "not_swept")] {
        assert_eq!(browser.evaluate(&state(spot)).await.unwrap(), expected, "{spot}");
    }
    let said = |id: &str, word: &str| format!("document.getElementById('{id}').textContent.includes('{word}')");
    for (id, word) in [
        ("count-left", "1 of 38 looked at, 1 too fast"),
        ("estimate", "Freehand estimate"),
        ("guidance", "Poor contact on the left"),
        ("guidance", "Not judged: the scale is not known"),
        ("probe", "3 o"),
    ] {
        assert_eq!(browser.evaluate(&said(id, word)).await.unwrap(), true, "{id}: {word}");
    }
    browser.screenshot(&screenshot("guidance.png")).await.unwrap();
    browser.evaluate("Object.defineProperty(navigator, 'language', { get: () => 'zh-CN' }) && 1").await.unwrap();
    player.guide.send_replace(Arc::new(guidance));
    browser.wait("Chinese", PATIENCE, &said("guidance", "左侧接触不良")).await.unwrap();
    browser.wait("the estimate in Chinese", PATIENCE, &said("estimate", "徒手估计")).await.unwrap();
    browser.screenshot(&screenshot("guidance-zh.png")).await.unwrap();

    // A lesion is moved around the nipple by keys, beginning where the probe is; in Chinese, as the page is now.
    browser.wait("a lesion", PATIENCE, "document.querySelectorAll('#lesions li').length > 0").await.unwrap();
    for (key, words) in [(".", "4 点"), ("+", "距乳头 15 mm"), ("+", "距乳头 20 mm")] {
        browser.press(key).await.unwrap();
        browser.wait(words, PATIENCE, &said("lesions", words)).await.unwrap();
    }
    assert_eq!(browser.complaints(), [] as [String; 0]);
    player.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overlay_without_successors_goes_away_while_the_picture_goes_on() {
    let Some((mut browser, player)) = watching(1280, 800).await else { return };
    browser.wait("video", PATIENCE, MOVING).await.unwrap();
    player.hold_overlay(true);
    let gone = "document.querySelectorAll('#overlay polygon').length === 0";
    let took = browser.wait("the overlay's end", PATIENCE, gone).await.unwrap();
    assert!(took < Duration::from_millis(1500), "{took:?}");
    let at = browser.evaluate("Number(document.getElementById('picture').dataset.sequence)").await.unwrap();
    let on = format!("Number(document.getElementById('picture').dataset.sequence) > {at}");
    browser.wait("the next picture", PATIENCE, &on).await.unwrap();
    player.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_can_be_done_from_the_keyboard_with_a_visible_focus() {
    let Some((mut browser, player)) = watching(1280, 800).await else { return };
    browser.wait("video", PATIENCE, MOVING).await.unwrap();
    browser.press(" ").await.unwrap();
    browser.wait("the freeze", PATIENCE, &sign_says("paused", "Paused")).await.unwrap();
    browser
        .wait("the overlay of the frozen picture", PATIENCE, "document.querySelectorAll('#overlay polygon').length > 0")
        .await
        .unwrap();
    browser.press(" ").await.unwrap();
    browser.wait("to go on", PATIENCE, &sign_says("ready", "Ready")).await.unwrap();
    browser.press("m").await.unwrap();
    let refused = "document.getElementById('notice').textContent.includes('no exam is running')";
    browser.wait("the refusal of a mark", PATIENCE, refused).await.unwrap();

    // The form: opened, filled and sent without a mouse.
    browser.press("e").await.unwrap();
    browser.wait("the form", PATIENCE, "document.getElementById('exam-dialog').open").await.unwrap();
    for text in ["P-4711", "Phantom", "Ada"] {
        browser.type_text(text).await.unwrap();
        browser.press("Tab").await.unwrap();
    }
    browser.screenshot(&screenshot("exam-form.png")).await.unwrap();
    browser.press("Enter").await.unwrap();
    let begun = "document.getElementById('patient').textContent.includes('Phantom, Ada')
        && document.getElementById('patient').textContent.includes('P-4711')
        && !document.getElementById('exam-dialog').open";
    browser.wait("the exam", PATIENCE, begun).await.unwrap();
    browser.press("m").await.unwrap();
    browser
        .wait("the mark", PATIENCE, "document.getElementById('patient').textContent.includes('1 mark')")
        .await
        .unwrap();

    // Which breast, and where in it.
    browser.press("r").await.unwrap();
    browser.wait("the side", PATIENCE, "document.getElementById('side').textContent === 'right breast'").await.unwrap();
    browser.wait("a lesion", PATIENCE, "document.querySelectorAll('#lesions li').length > 0").await.unwrap();
    browser.press("c").await.unwrap();
    let asks = "document.getElementById('place-dialog').open && document.querySelector('[name=lesion]').value !== ''
        && document.activeElement.name === 'clock'";
    browser.wait("the question where it is", PATIENCE, asks).await.unwrap();
    browser.press("ArrowDown").await.unwrap();
    browser.press("ArrowDown").await.unwrap();
    browser.press("Tab").await.unwrap();
    browser.type_text("40").await.unwrap();
    browser.screenshot(&screenshot("place.png")).await.unwrap();
    browser.press("Enter").await.unwrap();
    let placed = "!document.getElementById('place-dialog').open
        && document.getElementById('lesions').textContent.includes(\"2 o'clock, 40 mm from the nipple\")";
    browser.wait("the place in the list", PATIENCE, placed).await.unwrap();
    browser.screenshot(&screenshot("placed.png")).await.unwrap();

    // Tab reaches every control, and the focus is visible.
    let mut reached = std::collections::BTreeSet::new();
    for step in 0..15 {
        browser.press("Tab").await.unwrap();
        let where_ = "document.activeElement.id || document.activeElement.tagName";
        let id = browser.evaluate(where_).await.unwrap().as_str().unwrap().to_owned();
        let outline = "getComputedStyle(document.activeElement).outlineStyle + getComputedStyle(document.activeElement).outlineWidth";
        if id != "BODY" {
            assert_eq!(browser.evaluate(outline).await.unwrap(), "solid3px", "{id}, step {step}");
        }
        if id == "keep" {
            browser.screenshot(&screenshot("focus.png")).await.unwrap();
        }
        reached.insert(id);
    }
    for id in ["stage", "freeze", "keep", "exam", "place", "sound", "side-right", "side-left", "SUMMARY"] {
        assert!(reached.contains(id), "{id} is not among {reached:?}");
    }
    browser.press("e").await.unwrap();
    browser
        .wait("the end of the exam", PATIENCE, "document.getElementById('patient').textContent.includes('No exam')")
        .await
        .unwrap();
    assert_eq!(browser.complaints(), [] as [String; 0]);
    player.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patient_is_chosen_from_the_worklist_for_an_exam_that_began_of_itself() {
    let Some(mut browser) = Browser::start(1280, 800).await.unwrap() else {
        needs::skip(Lack::Software, "no chromium");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("list.csv");
    let lines = "patient_id,patient_name,birth_date,accession_number,date,time\n\
                 P1,Doe^Jane,1970-01-31,A-1,2026-01-31,0930\nP2,Wang^XiaoDong=王^小东,,A-2,2026-01-31,1000\nP3,x\n";
    std::fs::write(&list, lines).unwrap();
    let (server, served) = served::channel("RIS@ris:104", 0, hal::clock::Wall::default());
    server.answered(Answer { utc: hal::clock::now_utc(), ..Answer::default() });
    server.failed("the server cannot be reached: no route");
    let player = Player::expecting(Worklist::at(Some(list)).and(Some(served))).await;
    browser.open(&player.url()).await.unwrap();
    browser.wait("video", PATIENCE, MOVING).await.unwrap();
    assert_eq!(browser.evaluate("document.getElementById('identify').hidden").await.unwrap(), true);
    player.begin_for_nobody();
    let says = |word: &str| format!("document.getElementById('patient').textContent.includes('{word}')");
    browser.wait("the exam of nobody", PATIENCE, &says("Unidentified patient")).await.unwrap();
    browser.press("p").await.unwrap();
    let offered = "document.activeElement.id === 'exam-worklist' && document.activeElement.options.length === 3";
    browser.wait("the worklist", PATIENCE, offered).await.unwrap();
    let skipped = "document.getElementById('exam-skipped').textContent.includes('1: lines with another number')";
    browser.wait("what was left out", PATIENCE, skipped).await.unwrap();
    let current = "/^Worklist of .*:[0-9]{2}.*, the server cannot be reached: no route[.] Left out/\
        .test(document.getElementById('exam-skipped').textContent)";
    browser.wait("of when the server's list is", PATIENCE, current).await.unwrap();
    for _ in 0..2 {
        browser.press("ArrowDown").await.unwrap();
    }
    let filled = "document.querySelector('[name=family]').value === 'Wang'
        && document.querySelector('[name=accession]').value === 'A-2'";
    browser.wait("the form, filled in", PATIENCE, filled).await.unwrap();
    browser.screenshot(&screenshot("worklist.png")).await.unwrap();
    browser.press("Tab").await.unwrap();
    browser.press("Enter").await.unwrap();
    browser.wait("the patient", PATIENCE, &says("P2")).await.unwrap();
    browser.wait("the name in letters and ideographs", PATIENCE, &says("Wang, XiaoDong (王小东)")).await.unwrap();
    assert_eq!(browser.evaluate("document.getElementById('identify').hidden").await.unwrap(), true);
    let name = player.exam().unwrap().patient.name;
    assert_eq!(name, "Wang^XiaoDong=王^小东", "as the worklist writes it");
    assert_eq!(browser.complaints(), [] as [String; 0]);
    player.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_orders_of_a_patient_the_one_that_is_chosen_on_the_page_counts() {
    let Some(mut browser) = Browser::start(1280, 800).await.unwrap() else {
        needs::skip(Lack::Software, "no chromium");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("list.csv");
    std::fs::write(&list, "patient_id,patient_name,study_uid,time\nP1,Doe^Jane,1.2.1,0930\nP1,Doe^Jane,1.2.2,1000\n")
        .unwrap();
    let player = Player::expecting(Worklist::at(Some(list))).await;
    browser.open(&player.url()).await.unwrap();
    browser.wait("video", PATIENCE, MOVING).await.unwrap();
    browser.press("e").await.unwrap();
    let offered = "document.activeElement.id === 'exam-worklist' && document.activeElement.options.length === 3";
    browser.wait("the worklist", PATIENCE, offered).await.unwrap();
    for _ in 0..2 {
        browser.press("ArrowDown").await.unwrap();
    }
    browser.wait("the form", PATIENCE, "document.querySelector('[name=family]').value === 'Doe'").await.unwrap();
    browser.press("Tab").await.unwrap();
    browser.press("Enter").await.unwrap();
    let begun = "document.getElementById('patient').textContent.includes('P1')";
    browser.wait("the patient", PATIENCE, begun).await.unwrap();
    assert_eq!(player.exam().unwrap().study_uid, "1.2.2");
    assert_eq!(browser.complaints(), [] as [String; 0]);
    player.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tablet_held_upright_has_it_all_and_targets_large_enough_for_fingers() {
    let Some((mut browser, player)) = watching(800, 1180).await else { return };
    browser.wait("video", PATIENCE, MOVING).await.unwrap();
    browser.screenshot(&screenshot("tablet.png")).await.unwrap();
    let small = "[...document.querySelectorAll('button, summary')].filter((e) => e.offsetParent)
        .map((e) => [e.id, e.getBoundingClientRect().height]).filter(([, height]) => height < 44)";
    assert_eq!(browser.evaluate(small).await.unwrap(), serde_json::json!([]));
    let wide =
        "document.documentElement.scrollWidth <= innerWidth && document.documentElement.scrollHeight <= innerHeight";
    assert_eq!(browser.evaluate(wide).await.unwrap(), true, "the page is larger than the screen");
    browser.resize(480, 800).await.unwrap();
    assert_eq!(browser.evaluate(wide).await.unwrap(), true, "the page is larger than a small screen");
    browser.screenshot(&screenshot("phone.png")).await.unwrap();
    browser.resize(1400, 900).await.unwrap();
    let ready = "document.querySelectorAll('#lesions li').length > 0";
    browser.wait("a lesion", PATIENCE, ready).await.unwrap();
    in_chinese(&mut browser, "live", ready, "spiculated|enhancement|shadowing").await;
    player.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_box_that_goes_away_is_said_and_found_again() {
    let Some((mut browser, mut player)) = watching(1280, 800).await else { return };
    browser.wait("video", PATIENCE, MOVING).await.unwrap();
    player.record();
    let label = "document.getElementById('recording')";
    browser.wait("recording", PATIENCE, &format!("{label}.textContent.includes('\u{25cf}')")).await.unwrap();
    let address = player.stop().await;
    browser.wait("the loss", PATIENCE, &sign_says("failed", "No connection")).await.unwrap();
    let trying = "document.getElementById('connection').textContent.includes('trying again')";
    browser.wait("the words", PATIENCE, trying).await.unwrap();
    browser.screenshot(&screenshot("no-connection.png")).await.unwrap();
    let words = browser.evaluate(&format!("{label}.textContent")).await.unwrap();
    assert_eq!(words, "Recording not known: no connection", "a box without power records nothing");
    let inert = "document.querySelector('aside').inert";
    assert_eq!(browser.evaluate(inert).await.unwrap(), true, "nothing can be asked");
    player = Player::start_at(address).await;
    browser.wait("the box again", PATIENCE, &sign_says("ready", "Ready")).await.unwrap();
    browser.wait("what is so now", PATIENCE, &format!("{label}.hidden && !{inert}")).await.unwrap();
    browser.wait("video again", PATIENCE, MOVING).await.unwrap();
    player.stop().await;
}
