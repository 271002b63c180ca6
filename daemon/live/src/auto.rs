//! Begins and ends exams automatically: an exam without a patient begins when a video signal appears, and an exam ends
//! when the signal has been gone for some minutes. It reads the status and sends commands as a user does.

use std::time::Duration;

use custody::store::now_utc;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::ask::ask;
use crate::identity::nobody;
use crate::view::{Command, Sign, Status, View};

/// From a refusal to the next attempt.
const AGAIN: Duration = Duration::from_secs(5);

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Nothing,
    Begin,
    End,
}

/// Decides when exams begin and end. An exam that a user began ends automatically too, so that the next patient's
/// pictures do not get into it. An exam that never had a signal goes on: a user is preparing it.
#[derive(Debug, Clone)]
struct Auto {
    stop_after: Duration,
    signal: bool,
    /// Study UID of the running exam.
    exam: Option<String>,
    /// When the running exam lost its signal.
    dark_since: Option<Instant>,
}

impl Auto {
    fn new(stop_after: Duration) -> Self {
        Self { stop_after, signal: false, exam: None, dark_since: None }
    }

    fn look(&mut self, now: Instant, signal: bool, exam: Option<&str>) -> Step {
        let had_signal = std::mem::replace(&mut self.signal, signal);
        if self.exam.as_deref() != exam {
            self.exam = exam.map(str::to_owned);
            self.dark_since = None;
        } else if had_signal && !signal && exam.is_some() {
            self.dark_since = Some(now);
        }
        if signal {
            self.dark_since = None;
        }
        if signal && !had_signal && exam.is_none() {
            return Step::Begin;
        }
        match self.due().filter(|due| *due <= now) {
            Some(_) => {
                self.dark_since = None;
                Step::End
            }
            None => Step::Nothing,
        }
    }

    /// When to decide again, if nothing happens before.
    fn due(&self) -> Option<Instant> {
        self.dark_since.map(|since| since + self.stop_after)
    }
}

fn has_signal(status: &Status) -> bool {
    matches!(status.sign, Sign::Ready | Sign::Paused { .. } | Sign::NoOverlay { .. })
}

/// Runs until shutdown. `stop_after`: how long the signal must be gone before the exam ends.
pub async fn run(view: View, stop_after: Duration, shutdown: CancellationToken) {
    let mut auto = Auto::new(stop_after);
    let mut changes = view.status.clone();
    loop {
        let status = changes.borrow_and_update().clone();
        let exam = status.exam.as_ref().map(|exam| exam.study_uid.as_str());
        let before = auto.clone();
        let answered = match auto.look(Instant::now(), has_signal(&status), exam) {
            Step::Nothing => Ok(String::new()),
            Step::Begin => {
                tracing::info!("video signal detected, starting an exam automatically");
                ask(&view, |reply| Command::StartExam(nobody(&now_utc()).into(), reply)).await
            }
            Step::End => {
                tracing::info!(secs = stop_after.as_secs(), "no video signal, ending the exam automatically");
                ask(&view, Command::StopExam).await
            }
        };
        let due = match answered {
            Ok(_) => auto.due(),
            Err(refusal) => {
                tracing::warn!(%refusal, "an exam could not be started or ended automatically; it is tried again");
                auto = before;
                Some(Instant::now() + AGAIN)
            }
        };
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return shutdown.cancelled().await },
            () = at(due) => {}
            () = shutdown.cancelled() => return,
        }
    }
}

/// Sleeps until `due`; for ever when there is no such time.
async fn at(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use std::sync::Arc;

    use super::*;
    use crate::identity::is_nobody;
    use crate::view::{Exam, Stage, channel};
    use dicom::patient::Patient;

    const AFTER: Duration = Duration::from_secs(300);

    /// Each row: seconds, signal, exam, what is done.
    fn decided(rows: &[(u64, bool, Option<&str>, Step)]) {
        let mut auto = Auto::new(AFTER);
        let begin = Instant::now();
        for (row, (seconds, signal, exam, step)) in rows.iter().enumerate() {
            let now = begin + Duration::from_secs(*seconds);
            assert_eq!(auto.look(now, *signal, *exam), *step, "row {row} of {rows:?}");
        }
    }

    #[test]
    fn an_exam_begins_with_the_signal_and_ends_when_that_is_gone_for_long() {
        use Step::{Begin, End, Nothing};
        decided(&[
            (0, false, None, Nothing),
            (1, true, None, Begin),
            (1, true, Some("1"), Nothing),
            (100, false, Some("1"), Nothing),
            (399, false, Some("1"), Nothing),
            (400, false, Some("1"), End),
            (400, false, None, Nothing),
            (900, true, None, Begin),
        ]);
    }

    #[test]
    fn a_signal_that_comes_back_in_time_goes_on_with_the_exam() {
        use Step::{Begin, End, Nothing};
        decided(&[
            (0, true, None, Begin),
            (0, true, Some("1"), Nothing),
            (10, false, Some("1"), Nothing),
            (300, true, Some("1"), Nothing),
            (310, false, Some("1"), Nothing),
            (609, false, Some("1"), Nothing),
            (611, false, Some("1"), End),
        ]);
    }

    #[test]
    fn what_people_do_is_left_alone() {
        use Step::{Begin, End, Nothing};
        // Stopped by hand: the next begins with the next signal.
        decided(&[
            (0, true, None, Begin),
            (0, true, Some("1"), Nothing),
            (9, true, None, Nothing),
            (20, false, None, Nothing),
            (30, true, None, Begin),
        ]);
        // Begun by hand, before the scanner is switched on; it ends of itself all the same.
        decided(&[
            (0, false, Some("1"), Nothing),
            (9000, false, Some("1"), Nothing),
            (9001, true, Some("1"), Nothing),
            (9002, false, Some("1"), Nothing),
            (9302, false, Some("1"), End),
        ]);
        // Another exam, begun in the dark, has its own time.
        decided(&[
            (0, true, Some("1"), Nothing),
            (1, false, Some("1"), Nothing),
            (200, false, Some("2"), Nothing),
            (900, false, Some("2"), Nothing),
        ]);
    }

    fn show(stage: &Stage, signal: bool, exam: Option<Exam>) {
        let sign = if signal { Sign::Ready } else { Sign::NoSignal { reason: "nothing arrives".into() } };
        stage.status.send_replace(Arc::new(Status { sign, exam, ..Status::default() }));
    }

    #[tokio::test(start_paused = true)]
    async fn sim_it_asks_as_people_do_at_its_time() {
        let (mut stage, view) = channel();
        let trigger = CancellationToken::new();
        let shutdown = trigger.clone();
        show(&stage, false, None);
        let running = tokio::spawn(run(view, AFTER, shutdown));
        show(&stage, true, None);
        let Some(Command::StartExam(_, reply)) = stage.commands.recv().await else { panic!("no exam") };
        drop(reply);
        let refused = Instant::now();
        let Some(Command::StartExam(order, reply)) = stage.commands.recv().await else { panic!("no exam") };
        assert_eq!(refused.elapsed(), AGAIN, "what was not done is tried again");
        assert!(is_nobody(&order.patient) && order.study_uid.is_none(), "{order:?}");
        reply.send(Ok("the exam has begun".into())).unwrap();
        let mut exam = Exam {
            number: 0,
            study_uid: "2.25.1".into(),
            patient: order.patient,
            started_utc: now_utc(),
            marks: 0,
            side: None,
            probe: None,
            places: BTreeMap::new(),
            by_probe: std::collections::BTreeSet::new(),
            request: None,
        };
        show(&stage, true, Some(exam.clone()));
        // Given to a patient, it stays the same exam.
        exam.patient = Patient { id: "P1".into(), name: "DOE".into(), ..Patient::default() };
        show(&stage, true, Some(exam.clone()));
        tokio::time::sleep(Duration::from_secs(3600)).await;
        assert!(stage.commands.try_recv().is_err(), "an exam with a signal goes on");
        let lost = Instant::now();
        show(&stage, false, Some(exam));
        let Some(Command::StopExam(reply)) = stage.commands.recv().await else { panic!("it goes on") };
        assert_eq!(lost.elapsed().as_secs(), 300);
        reply.send(Ok("the exam has ended".into())).unwrap();
        show(&stage, false, None);
        trigger.cancel();
        running.await.unwrap();
    }
}
