//! What the page does with an image of several frames, and with a file of several windows: its own scripts in a real browser, with pictures that
//! the test answers in the place of the box.

use std::time::Duration;

use hil_tests::appliance::{Appliance, Setup};
use hil_tests::browser::Browser;
use needs::Lack;

const PATIENCE: Duration = Duration::from_secs(30);

/// Five frames, each as bright as its number says, with two windows: in the second one all is white that is brighter than 2350.
const STAND: &str = "(async () => {
    const { Hanging, STANDARD } = await import('/assets/hanging.js');
    const asked = [];
    window.fetch = async (path) => {
      const [, , , , frame, factor] = path.split('/');
      asked.push(`${frame}/${factor}`);
      const told = { columns: 64, rows: 64, factor: 1, mm: 0.2, turn: { transposed: false, mirrored: false, upended: false }, film: false, implant: false, partial: false,
        named: [1, 0], window: [2000, 1500], ends: [1250, 2750], greys: [0, 1],
        looks: [{ name: 'NORMAL', window: [2000, 1500], ends: [1250, 2750], greys: [0, 1] }, { name: '', window: [2000, 700], ends: [1650, 2350], greys: [0, 1] }] };
      const head = new TextEncoder().encode(JSON.stringify(told));
      const bytes = new Uint8Array(4 + head.length + 2 * 64 * 64);
      const view = new DataView(bytes.buffer);
      view.setUint32(0, head.length, true);
      bytes.set(head, 4);
      for (let at = 0; at < 64 * 64; at += 1) view.setUint16(4 + head.length + 2 * at, 1500 + 200 * Number(frame), true);
      return new Response(bytes);
    };
    const node = document.createElement('div');
    Object.assign(node.style, { position: 'fixed', inset: 0, display: 'grid', zIndex: 9 });
    document.body.append(node);
    const hanging = new Hanging(node, () => {});
    hanging.showOther({ instance: 7, sop_instance_uid: '7', name: 'R CC', rows: 64, columns: 64, frames: 5, for_presentation: true }, { date: '20260105' });
    const canvas = () => node.querySelector('.cell:not([hidden]) canvas');
    window.stand = { hanging, asked, STANDARD, note: () => node.querySelector('.cell:not([hidden]) .cell-note').textContent,
      grey: () => canvas().getContext('2d').getImageData(canvas().width / 2, canvas().height / 2, 1, 1).data[0] };
    return true;
  })()";

#[tokio::test(flavor = "multi_thread")]
async fn the_frames_of_a_tomosynthesis_are_gone_through_and_the_windows_of_a_file_are_chosen() {
    let Some(mut browser) = Browser::start(1000, 800).await.unwrap() else {
        needs::skip(Lack::Software, "no chromium");
        return;
    };
    let mut appliance = Appliance::start(&Setup::default()).await.unwrap();
    browser.open(&format!("{}studies", appliance.page().unwrap())).await.unwrap();
    browser.wait("the page", PATIENCE, "document.getElementById('connection')?.textContent.length > 0").await.unwrap();
    assert_eq!(browser.evaluate(STAND).await.unwrap(), true);
    let shows = |frame: u32, grey: u32| {
        format!("stand.note().includes('frame {frame} of 5') && Math.abs(stand.grey() - {grey}) <= 2")
    };
    // 1500 + 200 of 1250 to 2750.
    browser.wait("the first frame", PATIENCE, &shows(1, 77)).await.unwrap();
    // Whoever goes on quickly sees the last one, whatever came in between, and nobody goes beyond the ends.
    browser.evaluate("for (const frame of [2, 3, 9, 4]) stand.hanging.showFrame(frame)").await.unwrap();
    browser.wait("the fourth frame", PATIENCE, &shows(4, 179)).await.unwrap();
    browser.evaluate("stand.hanging.showFrame(0)").await.unwrap();
    browser.wait("the first again", PATIENCE, &shows(1, 77)).await.unwrap();
    assert_eq!(browser.evaluate("stand.hanging.frames").await.unwrap(), serde_json::json!([1, 5]));

    assert_eq!(browser.evaluate("stand.hanging.looks").await.unwrap(), serde_json::json!(["NORMAL", ""]));
    browser.evaluate("stand.hanging.look = { ...stand.STANDARD, which: 1 }; stand.hanging.draw()").await.unwrap();
    // 1700 of 1650 to 2350.
    browser.wait("the other window", PATIENCE, &shows(1, 18)).await.unwrap();
    let note = browser.evaluate("stand.note()").await.unwrap();
    assert!(note.as_str().unwrap().contains("W 700"), "{note}");
    assert_eq!(browser.complaints(), [] as [String; 0]);
    appliance.stop().await.unwrap();
}
