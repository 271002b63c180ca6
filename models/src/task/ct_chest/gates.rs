//! Decides whether a finding may be evaluated in a series. Each refusal is a [`Reason`] for the report.

use super::plan::{Contrast, Kernels, Limits, Plan};
use crate::acquisition::Acquisition;
use crate::findings::ChestFinding;
use crate::reason::Reason;
use crate::task::ct_quality::{self, Kernel};
use crate::volume::Volume;

/// Pixels beyond this hide what is looked for, mm: a nodule of 6 mm, a rib. No chest is reconstructed so.
const MOST_PIXEL_MM: f64 = 4.0;

/// Noise of the series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Noise {
    /// The lungs were not looked at yet: the gate lets it pass.
    NotYet,
    /// There is too little air in trachea and main bronchi.
    Unknown,
    /// Standard deviation, HU.
    Measured(f64),
}

/// What the gates ask about a series.
#[derive(Debug, Clone, Copy)]
pub struct Series<'a> {
    pub slice_spacing_mm: f64,
    /// Between columns and between rows.
    pub pixel_mm: [f64; 2],
    pub noise: Noise,
    /// Class of the kernel by the texture of the noise; `None` when it was not measured.
    pub texture: Option<Kernel>,
    pub acquisition: &'a Acquisition,
}

impl<'a> Series<'a> {
    /// The texture of the noise is measured only where the package asks for soft kernels.
    pub fn new(volume: &Volume, acquisition: &'a Acquisition, plan: &Plan) -> Self {
        let [x, y, z] = volume.geometry.spacing_mm;
        let asked = plan.limits.iter().any(|(_, limits)| limits.kernels == Kernels::Soft);
        let texture = if asked { ct_quality::kernel(volume) } else { None };
        Self { slice_spacing_mm: z, pixel_mm: [x, y], noise: Noise::NotYet, texture, acquisition }
    }

    /// [`Acquisition::slice_mm`].
    pub fn slice_mm(&self) -> f64 {
        self.acquisition.slice_mm(self.slice_spacing_mm)
    }
}

/// Why the finding is not evaluated; `None` when it may be.
pub fn refusal(plan: &Plan, finding: ChestFinding, series: &Series) -> Option<Reason> {
    match plan.limits(finding) {
        Some(limits) if plan.claims(finding) => whole(plan, series).or_else(|| single(limits, series)),
        _ => Some(Reason::NotInPackage { package: plan.package.clone() }),
    }
}

/// Limits of the whole package.
fn whole(plan: &Plan, series: &Series) -> Option<Reason> {
    let acquisition = series.acquisition;
    if let (Some(years), Some(least)) = (acquisition.age_years, plan.min_age_years)
        && years < least
    {
        return Some(Reason::TooYoung { years, least });
    }
    let part = acquisition.body_part.as_deref().map(str::trim).filter(|p| !p.is_empty());
    if let Some(part) = part.filter(|part| plan.body_part == "CHEST" && holds_no_chest(part)) {
        return Some(Reason::BodyPart { part: part.to_owned(), package: plan.body_part.clone() });
    }
    let [x_mm, y_mm] = series.pixel_mm;
    (x_mm.max(y_mm) > MOST_PIXEL_MM).then_some(Reason::PixelsTooLarge { x_mm, y_mm, most_mm: MOST_PIXEL_MM })
}

/// Defined terms of Body Part Examined (PS3.16 Annex L), and what scanners write for them, of which no scan shows whole lungs. The protocol sets
/// it, not the anatomy (wrong in 15 % of images: Gueld et al., SPIE 4685 (2002) 280): a scan of chest and abdomen is often an ABDOMEN or AORTA, and
/// every language has its own word. Whether lungs are there, and whole, is seen in the image.
fn holds_no_chest(part: &str) -> bool {
    const OTHERS: &str = "HEAD BRAIN SKULL FACE JAW MANDIBLE MAXILLA ORBIT EYE EAR IAC SINUS PARANASALSINUS NOSE TEMPORALBONE TMJ SELLA ARM \
                          ELBOW WRIST HAND LEG THIGH KNEE ANKLE FOOT CALCANEUS";
    let part = part.to_uppercase();
    OTHERS.split(' ').any(|other| other == part)
}

/// Limits of one finding.
fn single(limits: &Limits, series: &Series) -> Option<Reason> {
    let mm = series.slice_spacing_mm;
    // Positions are stored as decimal text: 2.5 mm may read 2.5000001.
    const SLACK_MM: f64 = 1e-3;
    if let Some(most_mm) = limits.max_slice_spacing_mm.filter(|most| mm > most + SLACK_MM) {
        return Some(Reason::SpacingTooLarge { mm, most_mm });
    }
    if let Some(most_mm) = limits.max_slice_spacing_mm.filter(|most| series.slice_mm() > most + SLACK_MM) {
        return Some(Reason::SlicesTooThick { mm: series.slice_mm(), most_mm });
    }
    if let Some(least_mm) = limits.min_slice_spacing_mm.filter(|least| series.slice_mm() < least - SLACK_MM) {
        return Some(Reason::SpacingTooSmall { mm, least_mm });
    }
    match (series.noise, limits.max_noise_hu) {
        (Noise::Measured(hu), Some(most_hu)) if hu > most_hu => return Some(Reason::Noisy { hu, most_hu }),
        (Noise::Unknown, Some(most_hu)) => return Some(Reason::NoiseUnknown { most_hu }),
        _ => {}
    }
    match (limits.contrast, series.acquisition.contrast) {
        (Contrast::Without, Some(true)) => return Some(Reason::ContrastGiven),
        (Contrast::With, Some(false)) => return Some(Reason::ContrastMissing),
        (Contrast::Without | Contrast::With, None) => return Some(Reason::ContrastUnknown),
        _ => {}
    }
    if limits.kernels == Kernels::Soft {
        return not_soft(series);
    }
    None
}

/// Why the kernel is not known to be soft. The name decides first; a soft name does not help when the noise is that of a sharp
/// kernel, and noise of a soft one is enough where there is no name.
pub(super) fn not_soft(series: &Series) -> Option<Reason> {
    let kernel = series.acquisition.kernel.as_deref().map(str::trim).filter(|k| !k.is_empty());
    match (kernel, series.texture) {
        (Some(kernel), _) if sharp(kernel) => Some(Reason::KernelSharp { kernel: kernel.to_owned() }),
        (_, Some(Kernel::Sharp)) => Some(Reason::KernelTexture),
        (None, None) => Some(Reason::KernelUnnamed),
        (Some(_), _) | (None, Some(Kernel::Smooth)) => None,
    }
}

/// Is the kernel made for lung or bone? By the naming of the makers: words (GE, United Imaging), number (Siemens: two
/// digits, sharp from 50 on; Canon: FC30 to FC39, FC50 to FC59, FC80 on), letter (Philips: C, D, E, L).
pub fn sharp(kernel: &str) -> bool {
    let name = kernel.split(['\\', ' ']).next().unwrap_or("").to_uppercase();
    if ["LUNG", "BONE", "EDGE", "SHARP", "DETAIL"].iter().any(|word| name.contains(word)) {
        return true;
    }
    if ["L", "C", "D", "E", "YC", "YD", "YE"].contains(&name.as_str()) {
        return true;
    }
    let letters = name.trim_start_matches(|c: char| c.is_ascii_alphabetic());
    let digits: String = letters.chars().take_while(char::is_ascii_digit).collect();
    let Ok(number) = digits.parse::<u32>() else { return false };
    if name.starts_with("FC") {
        return (30..40).contains(&number) || (50..60).contains(&number) || number >= 80;
    }
    digits.len() == 2 && number >= 50
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reason::{NotEvaluated, Topic};
    use crate::task::ct_chest::testing::plan;

    fn reason(change: impl Fn(&mut Limits), acquisition: &Acquisition, series: impl Fn(&mut Series)) -> Option<String> {
        let mut plan = plan();
        plan.limits.iter_mut().for_each(|(_, l)| change(l));
        let mut asked = Series {
            slice_spacing_mm: 1.0,
            pixel_mm: [0.7; 2],
            noise: Noise::Measured(20.0),
            texture: None,
            acquisition,
        };
        series(&mut asked);
        refusal(&plan, ChestFinding::LymphNode, &asked).map(sentence)
    }

    /// As it stands in the findings.
    fn sentence(reason: Reason) -> String {
        NotEvaluated { topic: Topic::Finding(ChestFinding::LymphNode), reason }.to_string()
    }

    #[test]
    fn pixels_as_large_as_a_nodule_are_refused() {
        let with = |pixel_mm| reason(|_| (), &Acquisition::default(), |s| s.pixel_mm = pixel_mm);
        assert_eq!(with([3.0, 3.0]), None);
        let said = "enlarged lymph nodes not evaluated: pixels of 6.0 x 3.0 mm, at most 4.0 mm are needed";
        assert_eq!(with([6.0, 3.0]).as_deref(), Some(said));
        assert!(with([0.7, 4.1]).is_some());
    }

    #[test]
    fn each_limit_refuses_with_its_own_sentence() {
        let plain = Acquisition::default();
        assert_eq!(reason(|_| (), &plain, |_| ()), None);
        let say = |s: &str| Some(format!("enlarged lymph nodes not evaluated: {s}"));
        let most = |l: &mut Limits| l.max_slice_spacing_mm = Some(2.5);
        let thick = reason(most, &plain, |s| s.slice_spacing_mm = 5.0);
        assert_eq!(thick, say("slice spacing 5.0 mm, package needs <= 2.5 mm"));
        assert_eq!(reason(most, &plain, |s| s.slice_spacing_mm = 2.500_000_1), None);
        let thin = reason(|l| l.min_slice_spacing_mm = Some(2.5), &plain, |_| ());
        assert_eq!(thin, say("slice spacing 1.0 mm, package needs >= 2.5 mm"));
        let noisy = |l: &mut Limits| l.max_noise_hu = Some(30.0);
        assert_eq!(
            reason(noisy, &plain, |s| s.noise = Noise::Measured(44.0)),
            say("noise 44 HU, package needs <= 30 HU")
        );
        let unknown = say("the noise could not be measured, package needs <= 30 HU");
        assert_eq!(
            reason(noisy, &plain, |s| s.noise = Noise::Unknown),
            unknown,
            "what was not measured passes no gate"
        );
        assert_eq!(reason(|_| (), &plain, |s| s.noise = Noise::Unknown), None, "a package without that limit");
        assert_eq!(reason(noisy, &plain, |s| s.noise = Noise::NotYet), None);

        let contrast = |given| Acquisition { contrast: given, ..Acquisition::default() };
        let without = |l: &mut Limits| l.contrast = Contrast::Without;
        let given = "contrast agent was given, package needs a series without";
        assert_eq!(reason(without, &contrast(Some(true)), |_| ()), say(given));
        assert_eq!(reason(without, &contrast(Some(false)), |_| ()), None);
        let unknown = "the header does not say whether contrast agent was given, package needs to know";
        assert_eq!(reason(without, &contrast(None), |_| ()), say(unknown));
        let native = "no contrast agent was given, package needs a series with";
        assert_eq!(reason(|l| l.contrast = Contrast::With, &contrast(Some(false)), |_| ()), say(native));

        let kernel = |k: &str| Acquisition { kernel: Some(k.into()), ..Acquisition::default() };
        let soft = |l: &mut Limits| l.kernels = Kernels::Soft;
        assert_eq!(reason(soft, &kernel("B70f"), |_| ()), say("kernel B70f is sharp, package needs a soft one"));
        assert_eq!(reason(soft, &kernel("STANDARD"), |_| ()), None);
        let nameless = "the header does not name the kernel, package needs a soft one";
        assert_eq!(reason(soft, &plain, |_| ()), say(nameless));
    }

    #[test]
    fn thick_slices_that_overlap_are_judged_by_their_thickness() {
        let thick = |mm| Acquisition { slice_thickness_mm: mm, ..Acquisition::default() };
        let say = |s: &str| Some(format!("enlarged lymph nodes not evaluated: {s}"));
        let most = |l: &mut Limits| l.max_slice_spacing_mm = Some(2.5);
        let every_2_5 = |s: &mut Series| s.slice_spacing_mm = 2.5;
        let refused = say("slices 5.0 mm thick, package needs <= 2.5 mm");
        assert_eq!(reason(most, &thick(Some(5.0)), every_2_5), refused);
        assert_eq!(reason(most, &thick(Some(2.5)), every_2_5), None);
        assert_eq!(reason(most, &thick(None), every_2_5), None, "without a thickness the spacing decides alone");
        assert_eq!(reason(most, &thick(Some(f64::NAN)), every_2_5), None);
        let apart = reason(most, &thick(Some(1.0)), |s| s.slice_spacing_mm = 5.0);
        assert_eq!(apart, say("slice spacing 5.0 mm, package needs <= 2.5 mm"));
        let least = |l: &mut Limits| l.min_slice_spacing_mm = Some(4.0);
        assert_eq!(reason(least, &thick(Some(5.0)), every_2_5), None);
    }

    #[test]
    fn the_noise_tells_a_sharp_kernel_that_its_name_does_not() {
        let named = |k: Option<&str>| Acquisition { kernel: k.map(Into::into), ..Acquisition::default() };
        let soft = |l: &mut Limits| l.kernels = Kernels::Soft;
        let with = |name, texture| reason(soft, &named(name), |s| s.texture = texture);
        let sharp = "enlarged lymph nodes not evaluated: the noise is that of a sharp kernel, package needs a soft one";
        assert_eq!(with(Some("STANDARD"), Some(Kernel::Sharp)).as_deref(), Some(sharp));
        assert_eq!(with(None, Some(Kernel::Sharp)).as_deref(), Some(sharp));
        assert_eq!(with(None, Some(Kernel::Smooth)), None);
        assert!(with(Some("B70f"), Some(Kernel::Smooth)).is_some(), "a sharp name is enough");
        assert_eq!(reason(|_| (), &named(None), |s| s.texture = Some(Kernel::Sharp)), None, "a package that takes any");
    }

    #[test]
    fn age_body_part_and_missing_channels_refuse_every_finding() {
        let child = Acquisition { age_years: Some(7.0), ..Acquisition::default() };
        let say = |s: &str| Some(format!("enlarged lymph nodes not evaluated: {s}"));
        assert_eq!(reason(|_| (), &child, |_| ()), say("the patient is 7 years old, package needs >= 18"));
        let head = Acquisition { body_part: Some("HEAD".into()), ..Acquisition::default() };
        assert_eq!(reason(|_| (), &head, |_| ()), say("body part HEAD, package is for CHEST"));
        for part in [
            "CHEST",
            "Thorax",
            "CHESTABDPELVIS",
            "ABDOMEN",
            "TORAX",
            "AORTA",
            "NECK",
            "UNKNOWN",
            "SKULL_TO_THIGH",
            "  ",
        ] {
            let some = Acquisition { body_part: Some(part.into()), ..Acquisition::default() };
            assert_eq!(reason(|_| (), &some, |_| ()), None, "{part}");
        }
        let mut less = plan();
        less.channels.retain(|(c, _)| c.as_str() != "lymph_node");
        let acquisition = Acquisition::default();
        let series = Series {
            slice_spacing_mm: 1.0,
            pixel_mm: [0.7; 2],
            noise: Noise::NotYet,
            texture: None,
            acquisition: &acquisition,
        };
        let missing = refusal(&less, ChestFinding::LymphNode, &series).map(sentence);
        assert_eq!(missing, say("the package test 1.0.0 does not look for it"));
    }

    #[test]
    fn kernels_of_five_makers_are_told_apart() {
        for kernel in ["LUNG", "BONEPLUS", "B70f", "Bl57d\\3", "I70f\\2", "FC51", "FC30", "L", "YC", "B_SHARP_C"] {
            assert!(sharp(kernel), "{kernel}");
        }
        for kernel in ["STANDARD", "SOFT", "B31f", "Br40d\\3", "I30f\\2", "FC08", "FC13", "B", "YA", "B_SOFT_B"] {
            assert!(!sharp(kernel), "{kernel}");
        }
    }
}
