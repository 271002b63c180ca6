//! The dashboard as a whole: drawn for a busy and a quiet box at both sizes, in both languages, at any size, with hostile text.

use dicom::text::steers;
use proptest::prelude::*;
use ratatui_core::backend::TestBackend;
use ratatui_core::buffer::Buffer;
use ratatui_core::layout::Rect;
use ratatui_core::terminal::Terminal;

use super::draw::draw;
use super::fixture::{CHINESE, ENGLISH, busy, event, now, quiet};
use super::panels::Scene;
use super::pen::Look;
use super::sight::Key;
use super::state::{Fact, State};
use super::words::Words;

const PLAIN: Look = Look { colour: false, unicode: true };

fn drawn(state: &State, words: Words, look: Look, (width, height): (u16, u16)) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    let scene = Scene { state, words, look, now: now(4000) };
    terminal.draw(|frame| _ = draw(&scene, "12:00:04", frame.buffer_mut())).unwrap();
    lines(terminal.backend().buffer())
}

/// As a terminal shows it: a wide character hides the cell after it.
fn lines(buffer: &Buffer) -> String {
    let mut text = String::new();
    for row in 0..buffer.area.height {
        let (mut line, mut x) = (String::new(), 0);
        while x < buffer.area.width {
            let symbol = buffer[(x, row)].symbol();
            line.push_str(symbol);
            x += u16::try_from(super::text::width(symbol)).unwrap().max(1);
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Compares with the file, or writes it (`SCANSIDE_BLESS=1`).
fn compare(name: &str, shown: &str) {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ctl/dashboard/shown").join(name);
    if std::env::var_os("SCANSIDE_BLESS").is_some() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, shown).unwrap();
    }
    let wanted = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(shown == wanted, "{name} is not as it was looked at (SCANSIDE_BLESS=1 writes it):\n{shown}");
}

#[test]
fn a_busy_box_is_shown_whole_at_80_x_24_and_uses_140_x_40() {
    compare("busy-80x24.txt", &drawn(&busy(), ENGLISH, PLAIN, (80, 24)));
    compare("busy-140x40.txt", &drawn(&busy(), ENGLISH, PLAIN, (140, 40)));
    compare("quiet-80x24.txt", &drawn(&quiet(), ENGLISH, PLAIN, (80, 24)));
}

#[test]
fn wide_characters_keep_the_columns() {
    compare("busy-80x24-zh.txt", &drawn(&busy(), CHINESE, PLAIN, (80, 24)));
    compare("busy-140x40-zh.txt", &drawn(&busy(), CHINESE, PLAIN, (140, 40)));
}

#[test]
fn nothing_essential_is_missing_at_80_x_24() {
    let shown = drawn(&busy(), ENGLISH, PLAIN, (80, 24));
    for essential in [
        "ATTENTION",
        "1 result is parked",
        "the oldest result has waited for",
        "series 31",
        "260 images 40/s",
        "job 21 study 12",
        "45 %",
        "job 9",
        "refused",
        "7 waiting, 3 h",
        "connection refused",
        "80 % used, 20 GiB free, room for ~120 studies, eviction in ~5 days",
        "25.0/s, 3 lost, overlay 17 ms (99 %: 46)",
        "TensorRT",
        "q quit  ? help",
        "12:00:04",
    ] {
        assert!(shown.contains(essential), "{essential:?} is missing:\n{shown}");
    }
    assert!(!shown.contains("no room for"), "{shown}");
}

#[test]
fn nobody_is_named_before_somebody_asks_for_it() {
    let mut state = busy();
    for size in [(80, 24), (140, 40), (200, 60)] {
        assert!(!drawn(&state, ENGLISH, PLAIN, size).contains("SECRET"));
    }
    state.press(Key::Enter);
    assert!(!drawn(&state, ENGLISH, PLAIN, (140, 40)).contains("SECRET"));
    state.press(Key::Back);
    state.press(Key::Character('n'));
    let shown = drawn(&state, ENGLISH, PLAIN, (140, 40));
    assert!(shown.contains("SECRET, NAME") && shown.contains("SECRET, LIVE"), "{shown}");
}

#[test]
fn what_steers_is_written_out_and_not_swallowed() {
    let mut state = busy();
    state.destinations[0].reason = Some("\x1b[2J\u{202e}gone".into());
    let shown = drawn(&state, ENGLISH, PLAIN, (80, 24));
    assert!(shown.contains("\\u{1b}[2J\\u{202e}gone"), "{shown}");
}

#[test]
fn a_small_window_leaves_out_what_its_help_says_in_that_order() {
    let state = busy();
    let order = ["events", "disk", "live video", "destinations", "work", "studies"];
    let mut before = 0;
    for height in (6..=24).rev() {
        let shown = drawn(&state, ENGLISH, PLAIN, (120, height.min(19)));
        let hidden = shown.split("no room for: ").nth(1).map_or("", |rest| rest.lines().next().unwrap_or_default());
        let count = hidden.split(", ").filter(|panel| !panel.is_empty()).count();
        assert!(count >= before, "{height}: {hidden}");
        before = count;
        for (at, panel) in order.iter().enumerate() {
            assert_eq!(hidden.contains(panel), at < count, "{height}: {hidden}");
        }
    }
    assert!(before >= 5, "{before}");
}

#[test]
fn without_colours_and_beyond_ascii_it_says_the_same() {
    let ascii = drawn(&busy(), ENGLISH, Look { colour: false, unicode: false }, (80, 24));
    assert!(ascii.is_ascii(), "{ascii}");
    assert!(ascii.contains("ATTENTION") && ascii.contains("refused") && ascii.contains("[####----]"), "{ascii}");
    let buffer = |look: Look| {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 80, 24));
        let state = busy();
        draw(&Scene { state: &state, words: ENGLISH, look, now: now(4000) }, "12:00:04", &mut buffer);
        buffer
    };
    let (plain, coloured) = (buffer(PLAIN), buffer(Look { colour: true, unicode: true }));
    assert!(plain.content.iter().all(|cell| cell.fg == ratatui_core::style::Color::Reset));
    assert_eq!(lines(&plain), lines(&coloured), "colours say nothing that words do not");
}

#[test]
fn the_page_of_a_study_has_verdicts_reasons_and_journal() {
    let mut state = busy();
    state.press(Key::Down);
    state.press(Key::Enter);
    assert!(drawn(&state, ENGLISH, PLAIN, (80, 24)).contains("is being read"));
    let events =
        vec![event(1, "series/12", "refused", &"3 slices are missing ".repeat(8)), event(2, "job/1", "done", "")];
    state.learn(Fact::Journal("1.2.12".into(), events), now(4000));
    compare("study-80x24.txt", &drawn(&state, ENGLISH, PLAIN, (80, 24)));
    state.press(Key::Back);
    state.press(Key::Character('?'));
    compare("help-80x24.txt", &drawn(&state, ENGLISH, PLAIN, (80, 24)));
    compare("help-80x24-zh.txt", &drawn(&state, CHINESE, PLAIN, (80, 24)));
}

#[test]
fn a_lost_daemon_is_told_above_what_was_known() {
    let mut state = busy();
    state.learn(Fact::Lost("scansided has left the bus".into()), now(1000));
    let shown = drawn(&state, ENGLISH, PLAIN, (80, 24));
    assert!(shown.contains("NO CONNECTION  no connection to the daemon; trying again (for 3 s)"), "{shown}");
    assert!(shown.contains("old figures below") && shown.contains("pacs"), "{shown}");
    let mut unheard = State::new();
    unheard.learn(Fact::Lost("scansided is not on this bus".into()), now(1000));
    let shown = drawn(&unheard, ENGLISH, PLAIN, (80, 24));
    assert!(
        !shown.contains("old figures") && !shown.contains("no study yet"),
        "what is not known is not told: {shown}"
    );
    let chinese = drawn(&state, CHINESE, PLAIN, (80, 24));
    assert!(chinese.contains("无连接  与守护进程没有连接，正在重试"), "{chinese}");
}

/// Every text of the bus is hostile.
fn hostile(text: &str) -> State {
    let mut state = busy();
    let said = || text.to_owned();
    for study in &mut state.studies {
        (study.description, study.patient_name, study.verdicts) = (said(), said(), vec![said(), said()]);
        (study.state, study.modalities, study.hold) = (said(), vec![said()], Some(said()));
    }
    for event in &mut state.events {
        (event.utc, event.subject, event.what, event.detail) = (said(), said(), said(), said());
    }
    for one in &mut state.destinations {
        (one.name, one.reason, one.oldest_pending_utc) = (said(), Some(said()), Some(said()));
    }
    if let Some(status) = &mut state.appliance {
        (status.level, status.level_reason, status.accelerator, status.version) = (said(), said(), said(), said());
        status.dicom_address = said();
    }
    if let Some(live) = &mut state.live {
        (live.sign, live.reason, live.source, live.model) = (said(), Some(said()), said(), Some(said()));
    }
    state.incoming[0].modality = said();
    state.running[0].stage = said();
    state.parked[0].reason = Some(said());
    state.journal = Some(("1.2.12".into(), state.events.clone()));
    state
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_size_and_no_text_breaks_it_or_steers_the_terminal(
        width in 1u16..=200, height in 1u16..=60, text in any::<String>(),
        steer in "[\\[\\]0-9;mJ\\x00-\\x1f\\x7f-\u{9f}\u{202a}-\u{202e}肺a]{0,60}", page in 0..3, chinese in any::<bool>(), names in any::<bool>(),
    ) {
        for text in [text, steer] {
            let mut state = hostile(&text);
            state.sight.names = names;
            if page > 0 {
                state.press(if page == 1 { Key::Enter } else { Key::Character('?') });
                state.journal = Some(("1.2.12".into(), state.events.clone()));
            } else {
                state.press(Key::End);
            }
            let mut buffer = Buffer::empty(Rect::new(0, 0, width, height));
            let words = if chinese { CHINESE } else { ENGLISH };
            let scene = Scene { state: &state, words, look: PLAIN, now: now(4000) };
            draw(&scene, "12:00:04", &mut buffer);
            for cell in &buffer.content {
                prop_assert!(!cell.symbol().chars().any(steers), "{:?}", cell.symbol());
            }
        }
    }
}
