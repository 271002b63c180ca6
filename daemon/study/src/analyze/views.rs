//! Tasks of a whole study: which of its images show the views that a task wants, and whether it may begin. Pure.

use dicom::header::Header;

/// One view of a set, for example the left cranio-caudal one of a mammography.
#[derive(Debug, Clone, Copy)]
pub struct View {
    /// For sentences about what is missing.
    pub name: &'static str,
    /// Without it the set is incomplete.
    pub needed: bool,
    /// Does an image with this header show it, or a part of it?
    pub shows: fn(&Header) -> bool,
    /// Does it show only a part? No number of parts stands for the view.
    pub part: fn(&Header) -> bool,
    /// Of several images that show it: is this one to be preferred?
    pub preferred: fn(&Header) -> bool,
}

/// An image of the study, as far as a task must know it to choose.
#[derive(Debug, Clone, Copy)]
pub struct Image<'a> {
    pub header: &'a Header,
    /// No more of its series is expected.
    pub complete: bool,
}

/// What shows one view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    /// Place of the image that is taken: the last preferred one, or the last when none is preferred. The last is the one
    /// that was acquired last; where a header does not say when, the one that arrived last.
    pub taken: usize,
    /// How many images could have been taken; those that are not preferred count only when none is.
    pub candidates: usize,
}

/// Whether a task may begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// Every view that is needed is there, and nothing of the images is still arriving.
    Ready,
    /// More is expected; these are missing so far.
    Waiting { missing: Vec<&'static str> },
    /// Nothing more is expected and these are missing.
    Incomplete { missing: Vec<&'static str> },
}

/// What shows each of the views as a whole, in their order. `images` are in the order of arrival.
pub fn find(views: &[View], images: &[Image<'_>]) -> Vec<Option<Shown>> {
    views.iter().map(|view| find_one(view, images)).collect()
}

fn find_one(view: &View, images: &[Image<'_>]) -> Option<Shown> {
    let mut best: Option<Shown> = None;
    let mut preferred = false;
    for (place, image) in images.iter().enumerate() {
        if !(view.shows)(image.header) || (view.part)(image.header) {
            continue;
        }
        let better = (view.preferred)(image.header);
        if preferred && !better {
            continue;
        }
        let before = best.filter(|_| better == preferred);
        let taken = match before {
            Some(shown) if was_earlier(image.header, images[shown.taken].header) => shown.taken,
            _ => place,
        };
        best = Some(Shown { taken, candidates: before.map_or(0, |shown| shown.candidates) + 1 });
        preferred = better;
    }
    best
}

/// Whether `one` was acquired before `other`. Queues and resends may bring the first picture of a view after its repetition.
fn was_earlier(one: &Header, other: &Header) -> bool {
    let (one, other) = (&one.acquired.when, &other.acquired.when);
    !one.is_empty() && !other.is_empty() && one < other
}

/// May a task begin on these images? `closed`: nothing more is expected of the study. `None` when no image shows any of the
/// views, nor a part of one. How many parts a view has is not said anywhere, so they are waited for until the study is closed.
pub fn select(views: &[View], images: &[Image<'_>], closed: bool) -> Option<Selection> {
    let shows_any = |image: &Image<'_>| views.iter().any(|view| (view.shows)(image.header));
    if !images.iter().any(shows_any) {
        return None;
    }
    let found = find(views, images);
    let mut missing = Vec::new();
    for (view, shown) in views.iter().zip(&found) {
        let there = shown.is_some_and(|shown| closed || images[shown.taken].complete);
        if view.needed && !there {
            missing.push(view.name);
        }
    }
    let arriving = images.iter().any(|image| !image.complete);
    Some(match (closed, missing.is_empty()) {
        (true, true) => Selection::Ready,
        (true, false) => Selection::Incomplete { missing },
        (false, true) if !arriving => Selection::Ready,
        (false, _) => Selection::Waiting { missing },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(view: &str) -> Header {
        Header { series_description: view.into(), ..Header::default() }
    }

    fn view(name: &'static str, shows: fn(&Header) -> bool) -> View {
        let part: fn(&Header) -> bool = |header| header.projection.partial;
        View { name, needed: true, shows, part, preferred: |header| header.kernel != "processing" }
    }

    /// A set as mammography has it, with a prior that may be absent.
    fn set() -> Vec<View> {
        vec![
            view("R-CC", |h| h.series_description == "R-CC"),
            view("L-CC", |h| h.series_description == "L-CC"),
            view("R-MLO", |h| h.series_description == "R-MLO"),
            view("L-MLO", |h| h.series_description == "L-MLO"),
            View { needed: false, ..view("prior", |h| h.series_description == "prior") },
        ]
    }

    fn images(headers: &[Header]) -> Vec<Image<'_>> {
        headers.iter().map(|header| Image { header, complete: true }).collect()
    }

    fn taken(views: &[View], images: &[Image<'_>]) -> Vec<Option<usize>> {
        find(views, images).into_iter().map(|shown| Some(shown?.taken)).collect()
    }

    const FOUR: [&str; 4] = ["R-CC", "L-CC", "R-MLO", "L-MLO"];

    #[test]
    fn a_set_of_views_waits_for_the_study_and_says_what_is_missing() {
        let headers = FOUR.map(header);
        let all = images(&headers);
        assert_eq!(select(&set(), &all, false), Some(Selection::Ready));
        assert_eq!(taken(&set(), &all), [Some(0), Some(1), Some(2), Some(3), None]);
        let missing = vec!["R-MLO", "L-MLO"];
        assert_eq!(select(&set(), &all[..2], false), Some(Selection::Waiting { missing: missing.clone() }));
        assert_eq!(select(&set(), &all[..2], true), Some(Selection::Incomplete { missing }));
        assert_eq!(select(&set(), &images(&[header("axial")]), true), None, "nothing of it is there");
        assert_eq!(select(&set(), &[], true), None);
    }

    #[test]
    fn a_view_that_is_still_arriving_is_waited_for_and_the_last_of_two_is_taken() {
        let headers = ["R-CC", "L-CC", "R-MLO", "L-MLO", "R-CC"].map(header);
        let mut all = images(&headers);
        assert_eq!(taken(&set(), &all), [Some(4), Some(1), Some(2), Some(3), None]);
        assert_eq!(find(&set(), &all)[0], Some(Shown { taken: 4, candidates: 2 }));
        all[4].complete = false;
        assert_eq!(select(&set(), &all, false), Some(Selection::Waiting { missing: vec!["R-CC"] }));
        assert_eq!(select(&set(), &all, true), Some(Selection::Ready));
    }

    #[test]
    fn a_view_that_was_taken_again_is_the_one_taken_last_whichever_arrives_last() {
        let taken_at = |when: &str| Header {
            acquired: dicom::header::Acquired { when: when.into(), ..Default::default() },
            ..header("R-CC")
        };
        let (first, again) = (taken_at("20261130101500.1"), taken_at("20261130101702"));
        let shown = |headers: &[&Header]| {
            let images: Vec<Image<'_>> = headers.iter().map(|header| Image { header, complete: true }).collect();
            find(&set(), &images)[0]
        };
        assert_eq!(shown(&[&first, &again]), Some(Shown { taken: 1, candidates: 2 }));
        assert_eq!(shown(&[&again, &first]), Some(Shown { taken: 0, candidates: 2 }));
        assert_eq!(shown(&[&again, &header("R-CC")]), Some(Shown { taken: 1, candidates: 2 }), "one does not say when");
    }

    #[test]
    fn a_prior_is_not_needed_but_waited_for_while_it_arrives() {
        let headers = ["R-CC", "L-CC", "R-MLO", "L-MLO", "prior"].map(header);
        let mut all = images(&headers);
        assert_eq!(taken(&set(), &all), [Some(0), Some(1), Some(2), Some(3), Some(4)]);
        all[4].complete = false;
        assert_eq!(select(&set(), &all, false), Some(Selection::Waiting { missing: Vec::new() }), "it is on its way");
        assert_eq!(select(&set(), &all[..4], true), Some(Selection::Ready), "it never came");
        let prior = select(&set(), &all[4..], true);
        assert_eq!(prior, Some(Selection::Incomplete { missing: FOUR.to_vec() }), "it alone is not enough");
    }

    #[test]
    fn a_part_stands_for_no_view_and_is_waited_for_until_the_study_is_closed() {
        let part = |name: &str| {
            let mut part = header(name);
            part.projection.partial = true;
            part
        };
        let headers = [header("R-CC"), header("L-CC"), header("R-MLO"), part("L-MLO"), part("L-MLO"), part("R-CC")];
        let all = images(&headers);
        assert_eq!(taken(&set(), &all), [Some(0), Some(1), Some(2), None, None], "nor the later part for the whole");
        let missing = vec!["L-MLO"];
        assert_eq!(select(&set(), &all, false), Some(Selection::Waiting { missing: missing.clone() }));
        assert_eq!(select(&set(), &all, true), Some(Selection::Incomplete { missing }));
        let only = select(&set(), &all[3..5], true);
        assert_eq!(only, Some(Selection::Incomplete { missing: FOUR.to_vec() }), "parts alone are named");
    }

    #[test]
    fn the_last_preferred_image_is_taken_wherever_it_stands() {
        let processing = Header { kernel: "processing".into(), ..header("R-CC") };
        let (first, second) = (header("R-CC"), header("R-CC"));
        let shown = |headers: &[&Header]| {
            let images: Vec<Image<'_>> = headers.iter().map(|header| Image { header, complete: true }).collect();
            find(&set(), &images)[0]
        };
        assert_eq!(shown(&[&first, &processing]), Some(Shown { taken: 0, candidates: 1 }));
        assert_eq!(shown(&[&processing, &first, &processing]), Some(Shown { taken: 1, candidates: 1 }));
        assert_eq!(shown(&[&first, &processing, &second]), Some(Shown { taken: 2, candidates: 2 }));
        assert_eq!(shown(&[&processing, &processing]), Some(Shown { taken: 1, candidates: 2 }));
    }
}
