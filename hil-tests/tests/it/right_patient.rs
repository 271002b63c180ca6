//! The pages show, and let sign, nothing under the wrong patient: in a real browser, after a correction of a real box, and with answers
//! that the test gives in place of the box, at the moment at which they do harm.

use std::process::Command;
use std::time::Duration;

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::tags;
use hil_tests::appliance::{Appliance, Setup};
use hil_tests::browser::Browser;
use hil_tests::modality::Modality;
use hil_tests::part10::Instance;
use hil_tests::tools;
use needs::Lack;

use crate::player::Player;
use crate::support::Records;
use crate::ultrasound::{grey, has_runtime, picture, scanned, settled};
use crate::us_support::{Picture, Pixels};

/// A page asks again every 30 s of a study that is done.
const PATIENCE: Duration = Duration::from_secs(90);

async fn browser() -> Option<Browser> {
    let browser = Browser::start(1400, 900).await.unwrap();
    if browser.is_none() {
        needs::skip(Lack::Software, "no chromium");
    }
    browser
}

async fn wait(browser: &mut Browser, what: &str, script: &str) {
    browser.wait(what, PATIENCE, script).await.unwrap();
}

async fn said(browser: &mut Browser, script: &str) -> String {
    let value = browser.evaluate(script).await.unwrap();
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Does something on the page.
async fn act(browser: &mut Browser, script: &str) {
    browser.evaluate(&format!("{script}; 0")).await.unwrap();
}

/// The same object of another patient, as after a wrong entry of the worklist.
fn of_ada(picture: &Picture) -> Instance {
    let mut object = dicom_object::from_reader(picture.part10().as_slice()).unwrap();
    for (tag, vr, value) in [(tags::PATIENT_NAME, VR::PN, "PHANTOM^ADA"), (tags::PATIENT_ID, VR::LO, "P8")] {
        object.put(DataElement::new(tag, vr, PrimitiveValue::from(value)));
    }
    let mut file = Vec::new();
    object.write_all(&mut file).unwrap();
    Instance::from_part10(&file).unwrap()
}

/// Sum of the colours on the stage.
const SUM: &str = "(() => { const c = document.querySelector('#now canvas'); if (!c.width) return 0;
    return c.getContext('2d').getImageData(0, 0, c.width, c.height).data.reduce((sum, value, i) => (i % 4 < 3 ? sum + value : sum), 0); })()";

#[tokio::test(flavor = "multi_thread")]
async fn a_study_that_was_corrected_while_it_is_open_is_shown_anew_with_its_own_pixels() {
    if !has_runtime() {
        return;
    }
    let Some(mut browser) = browser().await else { return };
    let scanned = tokio::task::spawn_blocking(scanned).await.unwrap();
    let wrong = picture(&scanned, 1, grey(&scanned.shown.screen));
    let darker: Vec<u8> = scanned.shown.screen.grey.iter().map(|level| level - level / 3).collect();
    let right = of_ada(&Picture { pixels: Pixels::Grey(vec![darker]), ..wrong.clone() });
    let extra = "[study]\nquiet_secs = 0.5\n".to_owned();
    let mut appliance = Appliance::start(&Setup { extra, ..Setup::default() }).await.unwrap();
    let scanner = Modality::new(appliance.address, "US1", Appliance::AE_TITLE);
    assert_eq!(scanner.send(&[wrong.instance()], |_, _| ()).await.unwrap().acknowledged(), 1);
    let records = Records::open(&appliance).unwrap();
    settled(&records, 1).await;

    browser.open(&format!("{}studies#study={}", appliance.page().unwrap(), wrong.study)).await.unwrap();
    wait(&mut browser, "the patient", "document.getElementById('patient').textContent.includes('EVA')").await;
    wait(&mut browser, "the pictures", &format!("document.querySelector('#documents a') !== null && {SUM} > 0")).await;
    let before = said(&mut browser, SUM).await;
    let document = said(&mut browser, "document.querySelector('#documents a').href").await;
    let watch = "window.seen = []; new MutationObserver(() => window.seen.push([document.getElementById('patient').textContent,
        ...[...document.querySelectorAll('#documents a')].map((one) => one.href)].join(' '))).observe(document.body, { childList: true, subtree: true })";
    act(&mut browser, watch).await;

    assert_eq!(scanner.send(&[right], |_, _| ()).await.unwrap().acknowledged(), 1);
    let resolved = Command::new(tools::our_binary("scansidectl").unwrap())
        .args(["--bus", &appliance.bus.address, "studies", "resolve", &wrong.study, "--take-new"])
        .output()
        .unwrap();
    assert!(resolved.status.success(), "{}", String::from_utf8_lossy(&resolved.stderr));
    settled(&records, 1).await;
    wait(&mut browser, "the right patient", "document.getElementById('patient').textContent.includes('ADA')").await;
    wait(&mut browser, "the right document", "document.querySelector('#documents a') !== null").await;
    wait(&mut browser, "other pixels", &format!("{SUM} > 0 && {SUM} < 0.85 * {before}")).await;
    let mixed =
        format!("window.seen.filter((one) => one.includes('ADA') && one.split(' ').includes('{document}')).length");
    assert_eq!(said(&mut browser, &mixed).await, "0", "the document of the old patient under the new name");
    assert_eq!(said(&mut browser, "document.title").await, "Study · Scanside", "the browser keeps titles");
    appliance.stop().await.unwrap();
}

/// The page asks `box` first: a function for each path, which returns what is answered.
const STUB: &str = "(() => { window.box = {}; const ask = window.fetch.bind(window);
    window.fetch = async (path, options) => {
      if (!(path in box)) return ask(path, options);
      const said = await box[path](options);
      if (said.refused) return new Response(said.refused, { status: 422 });
      return new Response(said instanceof Uint8Array || typeof said === 'string' ? said : JSON.stringify(said));
    };
    window.later = () => { let done; const promise = new Promise((ok) => { done = ok; }); return { promise, done }; };
    window.by = (id) => document.getElementById(id); })()";

/// A study of two ultrasound series, each with one picture and `lesion-1` in it.
const STUDY: &str = "(() => {
    const who = (name) => ({ patient_name: `PHANTOM^${name}`, patient_id: `ID-${name}`, birth_date: '19700101', sex: 'F' });
    const series = (id, name) => ({ id, series_uid: `1.3.${id}`, patient: who(name), number: id, description: `S${id}`, modality: 'US',
      kind: 'ultrasound', state: 'processed', verdict: '1 lesion', version: 1, instance_count: 1, pictures: `${id}`, outdated: false,
      findings: { listed: [{ id: 'lesion-1', kind: 'lesion', words: `lesion of S${id}`, score: 0.9, sop_instance_uid: `1.4.${id}`, bounds: [1, 1, 3, 3] }],
        notes: [], learnt: 'learnt from phantoms', report: { sop_uid: `1.5.${id}.${name}` } },
      finished_utc: '2026-11-24T00:00:00Z', results: [] });
    window.study = (names, more = {}) => ({ priors: [], series: names.map((name, i) => series(10 + i, name)),
      study: { study_uid: '1.2', ...who(names[0]), patients: new Set(names).size, study_date: '20261124', description: '', accession_number: '',
        modalities: ['US'], instance_count: 2, state: 'analyzing', verdicts: [], last_utc: '2026-11-24T00:00:00Z',
        work: { state: 'running', priority: 1, since_utc: '2026-11-24T00:00:00Z', reason: null }, ...more } });
    const sighting = (object_uid) => ({ date: '2026-11-24', method: { modality: 'US', by: 'x' }, axes_mm: [], gone: false, retracted: false,
      shown: { study_uid: '1.2', object_uid, label: 'Lesion 1' } });
    box['/reading/study/1.2/lesions'] = () => ({ undecided: [], lesions: [{ id: 5, place: {}, visits: [], notes: [], recalls: [], change: null,
      simulated: false, sightings: ['1.4.99', '1.4.11', '1.4.10'].map(sighting) }] });
    for (const id of [10, 11]) {
      box[`/reading/series/${id}/stack`] = () => ({ pixels: 'grey', orientation: null, spacing_mm: null, pictures: [{ instance: id, frame: 1,
        rows: 4, columns: 4, sop_instance_uid: `1.4.${id}`, is_frame: false, number: 1, position_mm: null }] });
      box[`/reading/picture/${id}/1`] = () => new Uint8Array(16).fill(200);
    }
    box['/reading/study/1.2'] = () => study(['EVA', 'EVA']);
    window.earlier = [{ study_uid: '1.1', study_date: '20251124', description: '' }];
    window.pressed = () => document.querySelector('#series [aria-pressed=true]')?.textContent ?? '';
    window.level = () => { const c = document.querySelector('#now canvas'); return c.getContext('2d').getImageData(c.width / 2, c.height / 2, 1, 1).data[0]; };
    window.header = () => by('patient').textContent;
    window.shows = (index) => document.querySelectorAll('#series button')[index].click(); })()";

#[tokio::test(flavor = "multi_thread")]
async fn what_is_signed_was_seen_and_is_of_the_series_and_the_patient_that_are_named() {
    let Some(mut browser) = browser().await else { return };
    let mut appliance = Appliance::start(&Setup::default()).await.unwrap();
    browser.open(&format!("{}studies", appliance.page().unwrap())).await.unwrap();
    wait(&mut browser, "the list", "document.getElementById('list-count').textContent === '0 of 0 studies'").await;
    for script in [STUB, STUDY] {
        act(&mut browser, script).await;
    }

    // Nobody signs a mark whose picture cannot be shown.
    act(&mut browser, "box['/reading/picture/11/1'] = () => ({ refused: 'broken.' })").await;
    act(&mut browser, "location.hash = '#study=1.2'").await;
    wait(&mut browser, "the picture", "header().includes('EVA') && level() === 200").await;
    assert_eq!(said(&mut browser, "document.title").await, "Study · Scanside");
    act(&mut browser, "shows(1)").await;
    let broken = "pressed().includes('S11') && document.querySelector('#now .top').textContent.includes('broken')";
    wait(&mut browser, "that it cannot be shown", broken).await;
    act(&mut browser, "by('accept-rest').click()").await;
    assert!(said(&mut browser, "by('notice').textContent").await.contains("cannot be shown"));
    assert_eq!(said(&mut browser, "by('sign').disabled").await, "true", "nobody has seen it");

    // `Lesion 1` of another series is not that of this one; one whose picture is nowhere cannot be gone to.
    wait(&mut browser, "the lesions", "document.querySelectorAll('.exams button').length === 3").await;
    let off = "[...document.querySelectorAll('.exams button')].map((one) => one.disabled).join()";
    assert_eq!(said(&mut browser, off).await, "false,false,true");
    act(&mut browser, "document.querySelectorAll('.exams button')[0].click()").await;
    let chosen =
        "pressed().includes('S10') && document.querySelector('#findings .chosen')?.textContent.includes('S10')";
    wait(&mut browser, "the series of the lesion", chosen).await;

    // The answer to a signature comes when another series is shown.
    act(&mut browser, "(() => { window.signing = later(); box['/reading/review'] = () => signing.promise; })()").await;
    wait(&mut browser, "its picture", "level() === 200").await;
    act(&mut browser, "by('reviewer').value = 'Anna'; by('accept-rest').click(); by('sign').click()").await;
    act(&mut browser, "shows(1)").await;
    wait(&mut browser, "the other series", "document.querySelector('#findings li')?.textContent.includes('S11')").await;
    act(&mut browser, "signing.done('Signed: 1 accepted.')").await;
    wait(&mut browser, "the answer", "sessionStorage.getItem('scanside-reviewer') === 'Anna'").await;
    assert_eq!(said(&mut browser, "by('review').hidden").await, "false", "this one was not signed");
    assert_eq!(said(&mut browser, "by('notice').textContent.includes('Signed')").await, "false");

    // An earlier study of two patients is not shown beside; one that turns out to be another's does not stay there.
    let prior = "box['/reading/study/1.1'] = () => study(['EVA', 'ADA']); box['/reading/study/1.2'] = () => ({ ...study(['EVA', 'EVA']), priors: earlier })";
    act(&mut browser, prior).await;
    wait(&mut browser, "the earlier study", "document.querySelector('#priors button') !== null").await;
    act(&mut browser, "document.querySelector('#priors button').click()").await;
    wait(&mut browser, "why it is not shown", "by('connection').textContent.includes('2 patients')").await;
    assert_eq!(said(&mut browser, "by('then').hidden").await, "true");
    act(&mut browser, "box['/reading/study/1.1'] = () => study(['EVA'])").await;
    act(&mut browser, "document.querySelector('#priors button').click()").await;
    wait(&mut browser, "it beside", "!by('then').hidden").await;
    act(&mut browser, "box['/reading/study/1.2'] = () => study(['EVA', 'EVA'])").await;
    wait(&mut browser, "it gone", "by('then').hidden").await;

    // Corrected: the same UIDs and counts, another patient and other pixels, and nothing else says so.
    act(&mut browser, "shows(0)").await;
    wait(&mut browser, "the first series", "pressed().includes('S10') && level() === 200").await;
    let corrected = "box['/reading/picture/10/1'] = () => new Uint8Array(16).fill(90); box['/reading/study/1.2'] = () => study(['ADA', 'ADA'])";
    act(&mut browser, corrected).await;
    wait(&mut browser, "the new patient", "header().includes('ADA')").await;
    wait(&mut browser, "the new pixels", "pressed().includes('S10') && level() === 90").await;

    // Two patients under one study: each series under its own name, lesions of nobody.
    act(&mut browser, "box['/reading/study/1.2'] = () => study(['ADA', 'EVA'])").await;
    wait(&mut browser, "that there are two", "header().includes('ADA') && header().includes('2 patients share')").await;
    act(&mut browser, "shows(1)").await;
    wait(&mut browser, "the other one", "header().includes('EVA') && !header().includes('ADA')").await;
    assert_eq!(said(&mut browser, "by('lesions-part').hidden").await, "true");

    // What was found before a correction is not there, and that is said.
    let outdated = "box['/reading/study/1.2'] = () => { const told = study(['EVA', 'EVA'], { work: { state: 'parked', priority: 1, since_utc: '2026-11-24T00:00:00Z', reason: 'no room' } });
        for (const one of told.series) Object.assign(one, { outdated: true, findings: null, verdict: null, finished_utc: null, version: 2 }); return told; }";
    act(&mut browser, outdated).await;
    let why = "/was replaced.*not be analysed again: no room/.test(by('verdict').textContent)";
    wait(&mut browser, "why nothing is shown", why).await;
    assert_eq!(said(&mut browser, "by('review').hidden && !by('findings').children.length").await, "true");
    appliance.stop().await.unwrap();
}

/// A mammography of one view, `mark-1` in it, and of a spot view that hangs nowhere, with `mark-2`.
const BREAST: &str = "(() => {
    const image = (instance, name) => ({ instance, name, sop_instance_uid: `1.4.${instance}`, rows: 8, columns: 8, frames: 1, for_presentation: true });
    const mark = (number) => ({ id: `mark-${number}`, kind: 'mass', words: 'mass', score: 0.9, sop_instance_uid: `1.4.${29 + number}`, bounds: [2, 2, 5, 5] });
    const place = (name, shown = null) => ({ name, image: shown, candidates: shown ? 1 : 0 });
    box['/reading/study/1.2'] = () => { const told = study(['EVA']);
      Object.assign(told.series[0], { id: 30, kind: 'mammography', modality: 'MG', findings: null });
      return told; };
    box['/reading/study/1.2/breast'] = () => ({ series_uid: '1.3.30', verdict: '2 marks', outdated: false, results: [], priors: [],
      hanging: { places: [place('R CC', image(30, 'R CC')), ...['L CC', 'R MLO', 'L MLO'].map((name) => place(name))], others: [image(31, 'R CC, spot')] },
      marked: { package: '', listed: [mark(1), mark(2)], notes: [], learnt: 'learnt from phantoms', report: { sop_uid: '1.5.30' } } });
    const told = { rows: 8, columns: 8, factor: 1, mm: 0.1, turn: { transposed: false, mirrored: false, upended: false }, film: false, implant: false,
      partial: false, named: [1, 0], window: [100, 200], ends: [0, 200], greys: [0, 1], looks: [] };
    const text = new TextEncoder().encode(JSON.stringify(told));
    const bytes = new Uint8Array(4 + text.length + 128).fill(1);
    new DataView(bytes.buffer).setUint32(0, text.length, true);
    bytes.set(text, 4);
    for (const id of [30, 31]) box[`/reading/mammogram/${id}/1/1`] = () => bytes; })()";

#[tokio::test(flavor = "multi_thread")]
async fn a_mark_in_a_mammogram_that_was_never_on_the_screen_is_not_signed() {
    let Some(mut browser) = browser().await else { return };
    let mut appliance = Appliance::start(&Setup::default()).await.unwrap();
    browser.open(&format!("{}studies", appliance.page().unwrap())).await.unwrap();
    wait(&mut browser, "the list", "document.getElementById('list-count').textContent === '0 of 0 studies'").await;
    for script in [STUB, STUDY, BREAST] {
        act(&mut browser, script).await;
    }
    act(&mut browser, "location.hash = '#study=1.2'").await;
    wait(&mut browser, "the marks", "document.querySelectorAll('#findings .judge').length === 2").await;
    // What is not drawn yet is refused, too, so it is tried until the view is there.
    let accepts = "(by('accept-rest').click(), by('review-open').textContent)";
    wait(&mut browser, "one that can be judged", &format!("{accepts}.startsWith('1 finding is not')")).await;
    let refused = said(&mut browser, "by('notice').textContent").await;
    assert!(refused.contains("mark 2 is not shown"), "{refused}");
    assert_eq!(said(&mut browser, "by('sign').disabled").await, "true");
    act(&mut browser, "by('mg-others').value = '0'; by('mg-others').dispatchEvent(new Event('change'))").await;
    wait(&mut browser, "both", &format!("{accepts}.startsWith('Every finding') && !by('sign').disabled")).await;
    // Seen is seen, also when another image is shown now.
    act(&mut browser, "document.querySelector('#findings .judge button').click()").await;
    wait(&mut browser, "the first one again", &format!("{accepts}.startsWith('Every finding')")).await;

    // An earlier mammography that turns out to be another's does not stay beside.
    let prior = "(() => { const told = box['/reading/study/1.2/breast']; window.known = earlier; box['/reading/study/1.1/breast'] = told;
        box['/reading/study/1.2/breast'] = () => ({ ...told(), priors: known }); })()";
    act(&mut browser, prior).await;
    wait(&mut browser, "the earlier one", "document.querySelector('#priors button') !== null").await;
    act(&mut browser, "document.querySelector('#priors button').click()").await;
    wait(&mut browser, "it beside", "by('hang').dataset.mode === 'beside'").await;
    act(&mut browser, "window.known = []").await;
    wait(&mut browser, "it gone", "by('hang').dataset.mode === 'now'").await;
    assert_eq!(
        said(&mut browser, "[...document.querySelectorAll('.cell.prior')].some((cell) => !cell.hidden)").await,
        "false"
    );
    appliance.stop().await.unwrap();
}

/// A lesion as the box tells of it.
const LESION: &str = "window.lesion = (id, name) => ({ id, person: { id: `ID-${name}`, name, birth_date: '19700101', sex: 'F' }, place: { side: 'left' }, visits: [],
    notes: [{ id: 1, date: '2026-01-01', kind: 'biopsy', text: `of ${name}`, by: 'Li' }], recalls: [{ id: 2, due: '2027-01-01', why: `of ${name}`, modality: 'US', by: 'Li', came: [] }],
    sightings: [{ id: 3, date: '2026-01-01', method: { modality: 'US', by: 'person' }, axes_mm: [9], place: {}, shown: { label: `of ${name}` } }], undecided: [], rule: '', simulated: false });
    box['/reading/lesion/5'] = () => lesion(5, 'EVA')";

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_one_patients_lesion_stays_or_can_be_entered_under_the_link_of_anothers() {
    let Some(mut browser) = browser().await else { return };
    let mut appliance = Appliance::start(&Setup::default()).await.unwrap();
    browser.open(&format!("{}recalls", appliance.page().unwrap())).await.unwrap();
    wait(&mut browser, "the list", "document.getElementById('list-count').textContent === '0'").await;
    for script in [STUB, LESION] {
        act(&mut browser, script).await;
    }
    let page = "document.body.textContent";
    let five = format!(
        "by('lesion-title').textContent.startsWith('Lesion 5') && {page}.includes('of EVA') && !by('enter').hidden"
    );
    act(&mut browser, "location.hash = '#lesion=5'").await;
    wait(&mut browser, "lesion 5", &five).await;

    // Straight to another one, which the box cannot tell of.
    act(&mut browser, "box['/reading/lesion/9'] = () => ({ refused: 'no answer' })").await;
    act(&mut browser, "location.hash = '#lesion=9'").await;
    wait(&mut browser, "the error", "by('lesion-title').textContent === 'no answer'").await;
    assert_eq!(said(&mut browser, &format!("by('enter').hidden && !{page}.includes('EVA')")).await, "true");

    // While the box thinks, too; and an answer that comes too late is nobody's.
    act(&mut browser, "(() => { window.slow = later(); box['/reading/lesion/5'] = () => slow.promise; box['/reading/lesion/9'] = () => lesion(9, 'ADA'); })()").await;
    act(&mut browser, "location.hash = '#lesion=5'").await;
    wait(&mut browser, "nothing yet", "by('lesion-title').textContent === '' && by('enter').hidden").await;
    act(&mut browser, "location.hash = '#lesion=9'").await;
    wait(&mut browser, "lesion 9", "by('lesion-title').textContent.startsWith('Lesion 9')").await;
    // Five questions later it has long been taken, or dropped.
    let after =
        "slow.done(lesion(5, 'EVA')), [1, 2, 3, 4, 5].reduce((before) => before.then(() => fetch('/reading/lesion/9'))
        .then((answer) => answer.json()), Promise.resolve()).then(() => 0)";
    browser.evaluate(after).await.unwrap();
    assert_eq!(
        said(
            &mut browser,
            &format!("by('lesion-title').textContent.startsWith('Lesion 9') && !{page}.includes('EVA')")
        )
        .await,
        "true"
    );
    appliance.stop().await.unwrap();
}

/// Two lists of who is expected; the one that was asked for first comes last. What is chosen is an entry, not its number.
const LISTS: &str = "(async () => {
    const { Worklist } = await import('/assets/worklist.js');
    const list = new Worklist();
    const entry = (id) => ({ patient: { id, name: `${id}^X`, birth_date: '', accession_number: '' }, date: '20261124', time: '', modality: 'US', description: '' });
    const answer = (...ids) => ({ entries: ids.map(entry), skipped: {}, server: null });
    const slow = later();
    box['/worklist'] = () => slow.promise;
    const first = list.load();
    box['/worklist'] = () => answer('B');
    await list.load();
    by('exam-worklist').value = '0';
    by('exam-worklist').dispatchEvent(new Event('change'));
    slow.done(answer('A', 'B'));
    await first;
    return `${list.chosen()?.id} of ${by('exam-worklist').options.length}`; })()";

#[tokio::test(flavor = "multi_thread")]
async fn a_worklist_that_comes_late_gives_the_exam_no_other_patient_than_the_one_that_was_chosen() {
    let Some(mut browser) = browser().await else { return };
    let player = Player::start().await;
    browser.open(&player.url()).await.unwrap();
    wait(
        &mut browser,
        "the page",
        "document.getElementById('exam-worklist') !== null && document.readyState === 'complete'",
    )
    .await;
    act(&mut browser, STUB).await;
    assert_eq!(said(&mut browser, LISTS).await, "B of 2");
    drop(browser);
    player.stop().await;
}
