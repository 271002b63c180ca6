//! The pages in Chinese, in a real browser: no English word is left, nothing is cut off, at the sizes of a desk and of a tablet held both ways.
//! The tests of the pages call [`in_chinese`] where they stand; the table of words is tried by itself.

use std::path::PathBuf;
use std::time::Duration;

use hil_tests::appliance::{Appliance, Setup};
use hil_tests::browser::Browser;
use hil_tests::tools;
use needs::Lack;

const PATIENCE: Duration = Duration::from_secs(30);
const SIZES: [(u32, u32); 3] = [(1400, 900), (1024, 768), (768, 1024)];

/// Words that are the same in both languages: units, formats, keys, names of things that have no other.
const SAME: &str =
    "scanside|pdf|csv|fhir|page|down|home|end|esc|shift|fleischner|mlo|mpr|scansidectl|patient|mg_marks|recist";

/// Words of people that are not Chinese: in what is shown, in what is read out, in the title. What the box says in English is marked as English.
const FOREIGN: &str = "(() => {
    const same = new RegExp('^(SAME)$', 'i');
    const left = (text) => (text ?? '').match(/[A-Za-z]{3,}/g)?.filter((word) => !same.test(word)) ?? [];
    const found = [];
    const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walk.nextNode()) {
      const at = walk.currentNode.parentElement;
      if (!at.closest('kbd, [lang=\"en\"], code, script, option[value=\"NONE\"]') && left(walk.currentNode.data).length) found.push(walk.currentNode.data.trim());
    }
    for (const one of document.querySelectorAll('[aria-label], [placeholder], [title]')) {
      for (const name of ['aria-label', 'placeholder', 'title']) if (left(one.getAttribute(name)).length) found.push(`${name}: ${one.getAttribute(name)}`);
    }
    if (left(document.title).length) found.push(`title: ${document.title}`);
    return [...new Set(found)];
  })()";

/// What is cut off, or reaches over what is beside it.
const CUT: &str = "(() => {
    const found = [];
    if (document.documentElement.scrollWidth > innerWidth) found.push('the page is wider than the window');
    const shown = (one) => one.checkVisibility() && one.getBoundingClientRect().width > 0;
    for (const one of document.querySelectorAll('button, label, h1, h2, th, .label, .state, nav a, .inline, summary, .tools, .group')) {
      if (!shown(one)) continue;
      if (one.scrollWidth > one.clientWidth + 1 && getComputedStyle(one).display !== 'inline') found.push(`cut: ${one.textContent.trim().slice(0, 40)}`);
    }
    const buttons = [...document.querySelectorAll('header a, header button, .tools button, .judge button, .buttons button, #labels .label')].filter(shown);
    const boxes = buttons.map((one) => [one, one.getBoundingClientRect()]);
    boxes.forEach(([one, a], index) => boxes.slice(index + 1).forEach(([other, b]) => {
      if (a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1) found.push(`over each other: ${one.textContent.trim()} / ${other.textContent.trim()}`);
    }));
    return found;
  })()";

fn screenshot(name: &str) -> PathBuf {
    tools::workspace().join("out/console").join(name)
}

/// Nothing of the page that is shown is cut off, at any size; pictures of each are written.
pub async fn fits(browser: &mut Browser, name: &str) {
    for (width, height) in SIZES {
        browser.resize(width, height).await.unwrap();
        // Pages draw anew with the next picture of the screen.
        browser
            .evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))")
            .await
            .unwrap();
        let cut = browser.evaluate(CUT).await.unwrap();
        browser.screenshot(&screenshot(&format!("{name}-{width}x{height}.png"))).await.unwrap();
        assert_eq!(cut, serde_json::json!([]), "{name} at {width}x{height}");
    }
    let (width, height) = SIZES[0];
    browser.resize(width, height).await.unwrap();
}

/// The page that is shown, once more in Chinese: until `ready` holds, then without an English word but `own` (names and descriptions of the
/// pictures, separated by `|`). The browser speaks English afterwards.
pub async fn in_chinese(browser: &mut Browser, name: &str, ready: &str, own: &str) {
    fits(browser, name).await;
    browser.speak("zh-CN").await.unwrap();
    browser.evaluate("location.reload()").await.unwrap();
    browser.wait("Chinese", PATIENCE, "document.documentElement.lang === 'zh-CN'").await.unwrap();
    browser.wait(&format!("{name} in Chinese"), PATIENCE, ready).await.unwrap();
    let same = format!("{SAME}|{own}");
    let foreign = browser.evaluate(&FOREIGN.replace("SAME", &same)).await.unwrap();
    fits(browser, &format!("{name}-zh")).await;
    assert_eq!(foreign, serde_json::json!([]), "{name}: not in Chinese");
    browser.speak("en-US").await.unwrap();
}

/// Every entry of the table has an English and a Chinese word, of the same kind; a function takes as much in both.
const TABLE: &str = "import('/assets/table.js').then(({ TABLE }) => {
    const found = [];
    const walk = (part, path) => {
      for (const [key, value] of Object.entries(part)) {
        const at = [...path, key].join('.');
        if (!Array.isArray(value)) { walk(value, [...path, key]); continue; }
        const [en, zh] = value;
        if (value.length !== 2 || typeof en !== typeof zh || en === '' || zh === '') { found.push(`${at}: two words`); continue; }
        if (typeof en === 'function' && en.length !== zh.length) found.push(`${at}: other values`);
        if (/[\\u4e00-\\u9fff]/.test(String(en))) found.push(`${at}: Chinese in English`);
        const words = String(zh).replace(/\\$\\{[^}]*\\}/g, '').replace(/[(][^)]*[)] => /, '');
        const alike = /^(pages\\.(id|of|comma|colon|stop)|tools\\.windows\\.|keys\\.(tenName|endsName)|breast\\.keys\\.|study\\.kinds\\.ct|viewer\\.at|findings\\.on|history\\.noteOf|guide\\.(zone|at))/.test(at);
        if (!alike && !/[\\u4e00-\\u9fff]/.test(words)) found.push(`${at}: no Chinese`);
      }
    };
    walk(TABLE, []);
    return found;
  })";

#[tokio::test(flavor = "multi_thread")]
async fn every_word_of_the_pages_has_both_languages_and_empty_pages_fit() {
    let Some(mut browser) = Browser::start(1400, 900).await.unwrap() else {
        needs::skip(Lack::Software, "no chromium");
        return;
    };
    let mut appliance = Appliance::start(&Setup::default()).await.unwrap();
    let page = appliance.page().unwrap();
    browser.open(&format!("{page}studies")).await.unwrap();
    let empty = "!document.getElementById('no-rows').hidden";
    browser.wait("an empty list", PATIENCE, empty).await.unwrap();
    assert_eq!(browser.evaluate(TABLE).await.unwrap(), serde_json::json!([]));
    in_chinese(&mut browser, "studies-empty", empty, "none").await;
    browser.open(&format!("{page}recalls")).await.unwrap();
    browser.wait("no recalls", PATIENCE, empty).await.unwrap();
    in_chinese(&mut browser, "recalls-empty", empty, "none").await;
    browser.open(&format!("{page}login")).await.unwrap();
    let form = "document.querySelector('#login button')?.textContent.length > 0";
    browser.wait("the login", PATIENCE, form).await.unwrap();
    in_chinese(&mut browser, "login", form, "none").await;
    assert_eq!(browser.complaints(), [] as [String; 0]);
    appliance.stop().await.unwrap();
}
