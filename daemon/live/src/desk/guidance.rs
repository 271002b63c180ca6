//! What the desk does for the scan guidance: where the probe is, and what of the breast was looked at there.

use std::sync::Arc;
use std::time::Duration;

use super::Desk;
use crate::guidance::{Item, Judged};
use crate::view::{ExamError, Guidance, Overlay, ProbeOrder};

/// How often guidance is published, unless one of its words has changed.
const GUIDE_EVERY: Duration = Duration::from_millis(500);

impl Desk {
    /// `seen`: when the exam began that whoever says it has looked at; `None`: whatever runs.
    ///
    /// # Errors
    /// When no exam runs, or another one, or nobody has said which breast is scanned.
    pub fn probe(&self, order: ProbeOrder, seen: Option<&str>) -> Result<String, ExamError> {
        let mut now = self.lock();
        let running = now.exams.current().map(|exam| exam.started_utc.as_str());
        if seen.is_some() && seen != running {
            return Err(ExamError::NotThatExam);
        }
        let done = now.exams.probe(order)?;
        self.publish(&now);
        Ok(done.words())
    }

    /// The overlay that is shown.
    pub fn shown(&self) -> Arc<Overlay> {
        self.out.overlay.borrow().clone()
    }

    /// How a picture of this exam is adjusted, and how the place of the probe was looked at meanwhile. While the page is frozen nobody
    /// looks at the breast.
    pub fn guided(&self, judged: Judged, exam: u64) {
        let mut now = self.lock();
        if exam != now.exam_number {
            return;
        }
        let place = now.exams.current().and_then(|exam| Some((exam.side?, exam.probe?)));
        if let (Some((side, probe)), Some((secs, quality)), true) = (place, judged.moment, now.state.shows_pictures()) {
            now.coverage.add(side, probe, secs, quality);
        }
        let time = self.clock.now();
        let is_due = time < now.guide_at || time - now.guide_at >= GUIDE_EVERY;
        let words = |items: &[Item]| items.iter().map(|item| (item.name, item.state)).collect::<Vec<_>>();
        let is_news = words(&self.out.guide.borrow().items) != words(&judged.items);
        if is_due || is_news {
            now.guide_at = time;
            let coverage = now.coverage.clone();
            self.out.guide.send_replace(Arc::new(Guidance {
                exam,
                items: judged.items,
                coverage,
                ..Guidance::default()
            }));
        }
    }
}
