//! Tests: each finding's numbers against the geometry of what was planted, with a network that is never wrong.

use super::testing::{Shape, ball, ball_ml, perfect, planted};
use super::*;
use crate::findings::{CalciumScore, Lobe, LobeName, LungPart, Side};
use crate::reason::Reasons;
use crate::testing::Chest;

fn examined(volume: &Volume) -> Examined {
    segmentation::examine(volume).unwrap()
}

fn chest(spacing: f64) -> Chest {
    Chest { spacing_mm: [spacing; 3], ..Chest::default() }
}

/// All findings, measured from the answer.
fn all(volume: &Volume, shapes: &[Shape<'_>], facts: &Acquisition) -> ChestFindings {
    let examined = examined(volume);
    let answer = perfect(volume, &examined.looked_at(), shapes);
    let mut findings = ChestFindings::none(&Reason::stored("test"));
    findings.lungs = Evaluated::Done(examined.lungs.clone());
    measure(volume, facts, &answer, examined, &ChestFinding::ALL, &mut findings);
    findings
}

fn done<T>(value: Evaluated<T>) -> T {
    match value {
        Evaluated::Done(value) => value,
        Evaluated::NotEvaluated(why) => panic!("{why}"),
    }
}

fn near(found: f64, want: f64, share: f64) {
    assert!((found - want).abs() <= share * want, "{found:.2} for {want:.2}");
}

#[test]
fn opacities_are_shares_of_a_lung_that_holds_them() {
    // Solid where the lung touches the wall: the segmentation by air alone loses it.
    let (solid, haze) = (ball([-112.0, 20.0, -20.0], 28.0), ball([70.0, 0.0, 30.0], 20.0));
    let shape = chest(2.0);
    let inside = |p: [f64; 3]| if shape.in_lung(p).is_some() { -1.0 } else { 1.0 };
    let solid = |p: [f64; 3]| solid(p).max(inside(p));
    let volume = planted(&shape, |p, hu| match () {
        () if solid(p) <= 0.0 => 30,
        () if haze(p) <= 0.0 => -600,
        () => hu,
    });
    let shapes: [Shape<'_>; 2] = [(Channel::Consolidation, &solid), (Channel::GroundGlass, &haze)];
    let findings = all(&volume, &shapes, &Acquisition::default());
    let lungs = done(findings.lungs);
    near(lungs[0].volume_ml, Chest::lung_ml(), 0.03);
    let pneumonia = done(findings.pneumonia);
    near(pneumonia.ground_glass[0].volume_ml, ball_ml(20.0), 0.05);
    let share = |part: LungPart| pneumonia.extents.iter().find(|e| e.part == part).unwrap();
    near(share(LungPart::Lung(Side::Left)).ground_glass_percent, 100.0 * ball_ml(20.0) / Chest::lung_ml(), 0.06);
    assert_eq!(share(LungPart::Lung(Side::Right)).ground_glass_percent, 0.0);
    let solid_ml = pneumonia.consolidation[0].volume_ml;
    near(share(LungPart::Lung(Side::Right)).consolidation_percent, 100.0 * solid_ml / Chest::lung_ml(), 0.05);
    let lobes: f64 = LobeName::ALL
        .iter()
        .map(|l| share(LungPart::Lobe(*l)))
        .map(|e| e.volume_ml * e.consolidation_percent / 100.0)
        .sum();
    near(lobes, solid_ml, 0.02);
}

#[test]
fn the_air_of_a_pneumothorax_is_taken_out_of_the_lung() {
    let air = ball([70.0, -55.0, 20.0], 22.0);
    let volume = planted(&chest(2.0), |p, hu| if air(p) <= 0.0 && hu == -850 { -1000 } else { hu });
    let shape = chest(2.0);
    let inside = |p: [f64; 3]| if shape.in_lung(p).is_some() { -1.0 } else { 1.0 };
    let within = |p: [f64; 3]| air(p).max(inside(p));
    let findings = all(&volume, &[(Channel::Pneumothorax, &within)], &Acquisition::default());
    let found = done(findings.pneumothoraces);
    assert_eq!(found.iter().map(|p| p.side).collect::<Vec<_>>(), [Side::Left]);
    let lungs = done(findings.lungs);
    near(lungs[1].volume_ml + found[0].region.volume_ml, Chest::lung_ml(), 0.03);
    near(found[0].percent, 100.0 * found[0].region.volume_ml / Chest::lung_ml(), 0.03);
    assert!(done(findings.pleural_effusions).is_empty());
}

#[test]
fn an_effusion_is_measured_on_its_own_side() {
    let fluid = ball([-80.0, 75.0, -60.0], 18.0);
    let volume = planted(&chest(2.0), |p, hu| if fluid(p) <= 0.0 { 10 } else { hu });
    let found = done(all(&volume, &[(Channel::PleuralEffusion, &fluid)], &Acquisition::default()).pleural_effusions);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].side, Side::Right);
    near(found[0].region.volume_ml, ball_ml(18.0), 0.05);
}

/// Gas of the stomach below the left lung, and what a network that knows no anatomy makes of chest and abdomen.
#[test]
fn what_lies_outside_its_place_does_not_exist() {
    let stomach = ball([70.0, -62.0, -95.0], 14.0);
    let volume = planted(&chest(2.0), |p, hu| if stomach(p) <= 0.0 { -980 } else { hu });
    let lungs = examined(&volume);
    let left = lungs.lungs.iter().find(|lung| lung.side == Side::Left).unwrap();
    near(left.volume_ml, Chest::lung_ml(), 0.03);

    let (wall, fluid) = (ball([70.0, -44.0, -100.0], 5.0), ball([70.0, -40.0, -104.0], 9.0));
    let (process, skin) = (ball([0.0, 95.0, 0.0], 6.0), ball([-140.0, 30.0, 0.0], 6.0));
    let (aorta, couch) = (ball([12.0, 20.0, -20.0], 12.0), ball([0.0, 112.0, 10.0], 9.0));
    let rib_process = |p: [f64; 3]| process(p);
    let shapes: [Shape<'_>; 7] = [
        (Channel::Nodule, &wall),
        (Channel::Pneumothorax, &stomach),
        (Channel::PleuralEffusion, &fluid),
        (Channel::RibFracture, &rib_process),
        (Channel::Bronchiectasis, &skin),
        (Channel::Consolidation, &aorta),
        (Channel::GroundGlass, &couch),
    ];
    let findings = all(&volume, &shapes, &Acquisition::default());
    assert!(done(findings.nodules).is_empty());
    assert!(done(findings.pneumothoraces).is_empty());
    assert!(done(findings.pleural_effusions).is_empty());
    assert!(done(findings.rib_fractures).is_empty());
    assert!(done(findings.bronchiectasis).is_empty());
    let pneumonia = done(findings.pneumonia);
    assert!(pneumonia.consolidation.is_empty() && pneumonia.ground_glass.is_empty());
}

#[test]
fn without_a_spine_ribs_and_coronaries_have_no_place() {
    let volume = planted(&chest(2.0), |_, hu| if hu > 100 { 40 } else { hu });
    let findings = all(&volume, &[], &Acquisition::default());
    for finding in [ChestFinding::RibFracture, ChestFinding::CoronaryCalcification] {
        assert_eq!(findings.refusal(finding).map(|why| why.reason.clone()), Some(Reason::NoSpine));
    }
    assert!(done(findings.pneumothoraces).is_empty());
}

/// White noise by position, so that it is the same in every run; standard deviation 1.
fn noise(p: [f64; 3]) -> f64 {
    let mut h = p
        .iter()
        .fold(0x9E37_79B9_7F4A_7C15u64, |h, v| (h ^ v.to_bits()).wrapping_mul(0xBF58_476D_1CE4_E5B9).rotate_left(31));
    let mut sum = 0.0;
    for _ in 0..12 {
        h = (h ^ (h >> 29)).wrapping_mul(0x94D0_49BB_1331_11EB);
        sum += (h >> 11) as f64 / (1u64 << 53) as f64;
    }
    sum - 6.0
}

#[test]
fn laa_stays_within_a_point_of_the_truth_under_noise() {
    let holes = |p: [f64; 3]| {
        // A lattice of balls of 7 mm.
        let at = p.map(|v| (v / 30.0 - (v / 30.0).round()) * 30.0);
        (at.iter().map(|v| v * v).sum::<f64>()).sqrt() - 7.0
    };
    // A hole's rim is lost in strong noise: the package's gate on noise is for that.
    for (sigma, off) in [(0.0, 1.0), (15.0, 1.0), (25.0, 1.0), (40.0, 1.7)] {
        let volume = planted(&chest(1.5), |p, hu| {
            let clean = if hu == -850 && holes(p) <= 0.0 { -985 } else { hu };
            ((f64::from(clean) + sigma * noise(p)).round() as i16).max(-1024)
        });
        let found = done(all(&volume, &[(Channel::Emphysema, &holes)], &Acquisition::default()).emphysema);
        let truth = 100.0 * ball_ml(7.0) / 27.0;
        assert!((found.laa950_percent - truth).abs() < off, "{} for {truth} at {sigma}", found.laa950_percent);
        let noise_hu = found.noise_hu.unwrap();
        assert!((noise_hu - sigma).abs() <= 0.2 * sigma + 1.0, "{noise_hu} for {sigma}");
        assert!(!found.regions.is_empty());
    }
}

/// A sharp kernel draws the texture of the lung stronger than it is; the air of the trachea has none. One real scan had 13 % low voxels with
/// a sharp kernel and 0 % with a smooth one.
#[test]
fn texture_that_a_sharp_kernel_draws_into_the_lungs_is_no_emphysema() {
    for (sigma, low_percent) in [(45.0, 1.0), (60.0, 4.0), (80.0, 9.0)] {
        let volume =
            planted(&chest(1.5), |p, hu| if hu == -850 { (-850.0 + sigma * noise(p)).round() as i16 } else { hu });
        let raw = examined(&volume).lungs.iter().filter_map(|lung| lung.laa950_percent).fold(0.0, f64::max);
        assert!(raw > low_percent, "{raw} at {sigma}");
        let found = all(&volume, &[], &Acquisition::default());
        let said = done(found.lungs).iter().filter_map(|lung| lung.laa950_percent).count();
        assert_eq!(said, 0, "two numbers for one thing, {raw} raw");
        let emphysema = done(found.emphysema);
        assert!(emphysema.laa950_percent < 0.5, "{} of {raw} at {sigma}", emphysema.laa950_percent);
    }
}

fn calcium_scan() -> Acquisition {
    Acquisition {
        contrast: Some(false),
        cardiac_gated: Some(true),
        kvp: Some(120.0),
        kernel: Some("B35f".into()),
        ..Acquisition::default()
    }
}

#[test]
fn the_agatston_score_of_a_cylinder_is_its_area_times_its_weight() {
    // 5 mm radius, 250 HU (weight 2), along z from -9 to 9 mm, in the wall between the lungs.
    let cylinder = |p: [f64; 3]| (p[0].hypot(p[1] + 30.0) - 5.0).max(p[2].abs() - 9.0);
    let shape = Chest { spacing_mm: [0.8, 0.8, 3.0], ..Chest::default() };
    let volume = planted(&shape, |p, hu| if cylinder(p) <= 0.0 { 250 } else { hu });
    let slices = (0..volume.geometry.dims[2])
        .filter(|z| volume.geometry.to_patient([0.0, 0.0, *z as f64])[2].abs() <= 9.0)
        .count();
    let want = std::f64::consts::PI * 25.0 * 2.0 * slices as f64;
    let shapes: [Shape<'_>; 1] = [(Channel::CoronaryCalcification, &cylinder)];
    let found = done(all(&volume, &shapes, &calcium_scan()).coronary_calcium);
    let CalciumScore::Agatston(score) = found.score else { panic!("{:?}", found.score) };
    near(score, want, 0.04);

    let ungated = Acquisition { cardiac_gated: Some(false), ..calcium_scan() };
    let found = done(all(&volume, &shapes, &ungated).coronary_calcium);
    let reason = Reasons(vec![Reason::AgatstonNotGated]);
    assert_eq!(found.score, CalciumScore::Ordinal { grade: 3, reason });
}

/// A rod of calcium of this radius (mm) and HU along z, in fat or in blood, in slices of 5 mm.
fn thick_calcium(radius: f64, calcium: i16, beside: i16, seen: bool, facts: &Acquisition) -> ChestFindings {
    let rod = move |p: [f64; 3]| (p[0].hypot(p[1] + 30.0) - radius).max(p[2].abs() - 4.0);
    let groove = |p: [f64; 3]| (p[0].hypot(p[1] + 30.0) - 12.0).max(p[2].abs() - 20.0);
    let shape = Chest { spacing_mm: [0.8, 0.8, 5.0], ..Chest::default() };
    let volume = planted(&shape, |p, hu| match () {
        () if rod(p) <= 0.0 => calcium,
        () if groove(p) <= 0.0 => beside,
        () => hu,
    });
    let shapes: [Shape<'_>; 1] = [(Channel::CoronaryCalcification, &rod)];
    all(&volume, if seen { &shapes } else { &[] }, facts)
}

#[test]
fn thick_slices_give_a_grade_of_calcium_in_fat_that_the_network_confirms_and_never_a_score() {
    let grade = |radius, calcium, beside, seen| match thick_calcium(radius, calcium, beside, seen, &calcium_scan()) {
        ChestFindings { coronary_calcium: Evaluated::Done(CoronaryCalcium { score, lesions }), .. } => match score {
            CalciumScore::Ordinal { grade, .. } => (grade, lesions.len()),
            CalciumScore::Agatston(score) => panic!("a number from thick slices: {score}"),
        },
        ChestFindings { coronary_calcium, .. } => panic!("{coronary_calcium:?}"),
    };
    assert_eq!(grade(2.0, 180, -90, true), (1, 1));
    assert_eq!(grade(5.0, 500, -90, true), (3, 1));
    assert_eq!(grade(5.0, 500, -90, false), (0, 0), "bright, but the network knows that it is none");
    assert_eq!(grade(5.0, 500, 40, true), (0, 0), "in blood: a valve");
    assert_eq!(grade(2.0, 120, -90, true), (0, 0), "not as dense as calcium");
}

#[test]
fn contrast_medium_sharp_kernels_and_metal_close_the_estimate_in_thick_slices() {
    let why = |calcium, facts: &Acquisition| {
        let findings = thick_calcium(5.0, calcium, -90, true, facts);
        findings.coronary_calcium.refusal().map(ToString::to_string).unwrap_or_default()
    };
    let said = |reason: &str| format!("coronary artery calcification not evaluated: {reason}");
    let given = Acquisition { contrast: Some(true), ..calcium_scan() };
    assert_eq!(why(500, &given), said("contrast agent was given, package needs a series without"));
    let sharp = Acquisition { kernel: Some("L".into()), ..calcium_scan() };
    assert_eq!(why(500, &sharp), said("kernel L is sharp, package needs a soft one"));
    assert_eq!(why(3000, &calcium_scan()), said("there is metal in the heart or beside it"));
    assert_eq!(why(500, &calcium_scan()), "");
}

/// It begins at the carina, where the left main artery is: the upper part of what is seen of the lungs is not above the heart.
#[test]
fn calcium_at_the_top_of_a_scan_that_was_planned_on_the_heart_counts() {
    let plaque = ball([0.0, -30.0, 50.0], 4.0);
    let shape = Chest { spacing_mm: [0.8, 0.8, 3.0], z_mm: [-60.0, 60.0], ..Chest::default() };
    let volume = planted(&shape, |p, hu| if plaque(p) <= 0.0 { 400 } else { hu });
    let found = all(&volume, &[(Channel::CoronaryCalcification, &plaque)], &calcium_scan()).coronary_calcium;
    let CalciumScore::Agatston(score) = done(found).score else { panic!("no score") };
    assert!(score > 50.0, "{score}");
}

/// Many scanners leave the agent empty; the blood shows whether there was one.
#[test]
fn where_the_header_does_not_say_blood_decides_about_the_score() {
    let vessel = |p: [f64; 3]| (p[0].hypot(p[1] + 30.0) - 18.0).max(p[2].abs() - 60.0);
    let shape = Chest { spacing_mm: [0.8, 0.8, 3.0], ..Chest::default() };
    let unsaid = Acquisition { contrast: None, ..calcium_scan() };
    let score = |blood: i16| {
        let volume = planted(&shape, |p, hu| if vessel(p) <= 0.0 { blood } else { hu });
        all(&volume, &[], &unsaid).coronary_calcium
    };
    assert_eq!(done(score(40)).score, CalciumScore::Agatston(0.0));
    // Plaques of the same brightness are not seen: nothing is called absent.
    let Evaluated::NotEvaluated(why) = score(250) else { panic!("absent in enhanced blood") };
    assert_eq!(why.reason, Reason::ContrastGiven);
}

#[test]
fn in_enhanced_blood_only_what_is_brighter_than_blood_is_calcium() {
    let vessel = |p: [f64; 3]| (p[0].hypot(p[1] + 30.0) - 18.0).max(p[2].abs() - 60.0);
    let plaque = ball([0.0, -46.0, 0.0], 3.0);
    let found = |blood: i16, calcium: i16| {
        let volume = planted(&chest(0.9), |p, hu| {
            let clean = match () {
                () if plaque(p) <= 0.0 => calcium,
                () if vessel(p) <= 0.0 => blood,
                () => hu,
            };
            clean + (10.0 * noise(p)).round() as i16
        });
        match all(&volume, &[(Channel::CoronaryCalcification, &plaque)], &calcium_scan()).coronary_calcium {
            Evaluated::Done(calcium) => calcium.lesions,
            Evaluated::NotEvaluated(_) => Vec::new(),
        }
    };
    // The network is wrong: it takes blood, or the wall of a vessel, for calcium.
    assert!(found(250, 250).is_empty());
    assert!(found(40, 80).is_empty());
    for blood in [40, 250] {
        let lesions = found(blood, 500);
        assert_eq!(lesions.len(), 1);
        near(lesions[0].volume_ml, ball_ml(3.0), 0.1);
    }
}

#[test]
fn specks_below_a_square_millimetre_are_no_calcium() {
    // In slices of 0.6 x 0.6 mm a ball of 0.4 mm is one voxel at most, one of 1.5 mm has some twenty in its middle slice.
    let shape = Chest { spacing_mm: [0.6, 0.6, 1.5], ..Chest::default() };
    let region = ball([0.0, -30.0, 0.0], 4.0);
    let found = |radius: f64| {
        let calcium = ball([0.0, -30.0, 0.0], radius);
        let volume = planted(&shape, |p, hu| if calcium(p) <= 0.0 { 400 } else { hu });
        done(all(&volume, &[(Channel::CoronaryCalcification, &region)], &calcium_scan()).coronary_calcium).lesions
    };
    assert!(found(0.4).is_empty());
    assert_eq!(found(1.5).len(), 1);
}

#[test]
fn a_node_counts_from_a_short_axis_of_ten_millimetres() {
    let egg = |centre: [f64; 3], half: [f64; 3]| {
        move |p: [f64; 3]| {
            let r = (0..3).map(|a| ((p[a] - centre[a]) / half[a]).powi(2)).sum::<f64>().sqrt();
            (r - 1.0) * half[0].min(half[1])
        }
    };
    let (large, small) = (egg([0.0, -20.0, 10.0], [10.0, 6.5, 9.0]), egg([0.0, -20.0, -40.0], [9.0, 4.0, 7.0]));
    let both = |p: [f64; 3]| large(p).min(small(p));
    let volume = chest(1.2).volume();
    let found = done(all(&volume, &[(Channel::LymphNode, &both)], &Acquisition::default()).lymph_nodes);
    assert_eq!(found.len(), 1);
    assert!((found[0].short_axis_mm - 13.0).abs() < 1.3, "{}", found[0].short_axis_mm);
    assert!((found[0].long_axis_mm - 20.0).abs() < 1.5, "{}", found[0].long_axis_mm);
}

#[test]
fn fractures_get_side_and_number_of_their_rib() {
    // Hoops around the lungs every 20 mm, from a spine in the back; the first one level with the apex.
    let height = |n: u8| 104.0 - 17.0 * f64::from(n - 1);
    let hoop = |p: [f64; 3]| {
        let r = (p[0] / 132.0).hypot(p[1] / 90.0);
        (1..=12).any(|n| (p[2] - height(n)).abs() <= 4.0 && (r - 1.0).abs() < 0.05 && p[1] > -60.0)
    };
    let spine = |p: [f64; 3]| p[0].hypot(p[1] - 86.0) < 16.0;
    let on = |side: f64, n: u8| [side * 132.0 * 0.8, 90.0 * 0.6, height(n)];
    let volume = planted(&chest(2.0), |p, hu| if hu > -500 && (hoop(p) || spine(p)) { 400 } else { hu });
    let (right, left) = (ball(on(-1.0, 4), 5.0), ball(on(1.0, 9), 5.0));
    let both = |p: [f64; 3]| right(p).min(left(p));
    let mut found = done(all(&volume, &[(Channel::RibFracture, &both)], &Acquisition::default()).rib_fractures);
    found.sort_by_key(|f| f.rib);
    let told: Vec<_> = found.iter().map(|f| (f.side, f.rib)).collect();
    assert_eq!(told, [(Side::Right, Some(4)), (Side::Left, Some(9))]);

    // A scan that begins below the apex: the uppermost rib that is seen is level with the uppermost lung, and not the first.
    let below = Chest { z_mm: [-120.0, 60.0], ..chest(2.0) };
    let volume = planted(&below, |p, hu| if hu > -500 && (hoop(p) || spine(p)) { 400 } else { hu });
    let found = done(all(&volume, &[(Channel::RibFracture, &both)], &Acquisition::default()).rib_fractures);
    assert!(!found.is_empty() && found.iter().all(|f| f.rib.is_none()), "{found:?}");

    // Without the first rib in the scan nothing is guessed.
    let volume = planted(&chest(2.0), |p, hu| if hu > -500 && p[2] < 80.0 && (hoop(p) || spine(p)) { 400 } else { hu });
    let found = done(all(&volume, &[(Channel::RibFracture, &both)], &Acquisition::default()).rib_fractures);
    assert!(found.iter().all(|f| f.rib.is_none()), "{found:?}");
}

#[test]
fn lobes_share_each_lung_between_them_in_the_usual_parts() {
    let volume = chest(2.0).volume();
    let lungs = examined(&volume).lungs;
    let lobes = lobes::divide(&volume, &lungs);
    assert_eq!(lobes.iter().map(|l| l.name).collect::<Vec<_>>(), LobeName::ALL);
    for lung in &lungs {
        let own = lobes.iter().filter(|l| l.name.side() == lung.side);
        near(own.map(|l| l.volume_ml).sum(), lung.volume_ml, 1e-9);
    }
    let total: f64 = lungs.iter().map(|l| l.volume_ml).sum();
    for (lobe, share) in lobes.iter().zip([20.0, 9.0, 25.0, 23.0, 23.0]) {
        let found = 100.0 * lobe.volume_ml / total;
        assert!((found - share).abs() < 4.0, "{:?} {found:.1} %", lobe.name);
    }
}

/// Lobes of the chest with a sheet between upper and lower lobe of both lungs, at the height over the usual plane that `bend`
/// gives, and the share of the left lower lobe that lies more than 3 mm on the wrong side of it.
fn with_fissure(spacing_mm: f64, bend: impl Fn([f64; 3]) -> f64 + Sync) -> (Vec<Lobe>, f64) {
    let shape = chest(spacing_mm);
    let across = 1.0 / (1.0 / 210.0f64).hypot(0.85 / 160.0);
    let over = |p: [f64; 3]| ((p[2] + 105.0) / 210.0 - 0.85 * (p[1] + 80.0) / 160.0) * across - 8.0 - bend(p);
    let seen = planted(&shape, |p, hu| if hu == -850 && over(p).abs() < 1.0 { -750 } else { hu });
    let lobes = lobes::divide(&seen, &examined(&seen).lungs);
    let of = |name: LobeName| lobes.iter().find(|l| l.name == name).unwrap();
    let beyond = |lobe: &Lobe, wrong: &dyn Fn(f64) -> bool| {
        let voxels = lobe.mask.rows().flat_map(|(start, row)| {
            let at = move |x: usize| [start[0] + x, start[1], start[2]];
            row.iter().enumerate().filter(|(_, v)| **v != 0).map(move |(x, _)| at(x))
        });
        let far = voxels.filter(|v| wrong(over(seen.geometry.to_patient(v.map(|v| v as f64))))).count();
        far as f64 * seen.geometry.voxel_ml()
    };
    let lower = of(LobeName::LeftLower);
    let wrong = beyond(lower, &|over| over > 3.0) + beyond(of(LobeName::LeftUpper), &|over| over < -3.0);
    let share = wrong / lower.volume_ml;
    (lobes, share)
}

#[test]
fn a_fissure_that_shows_decides_where_the_lobe_ends() {
    let (lobes, wrong) = with_fissure(1.5, |_| 8.0);
    assert!(wrong < 0.01, "{wrong:.3} lies on the wrong side of a straight fissure");
    // Of a real chest: bent, and 30 mm from where it usually lies at the side.
    let bend = |p: [f64; 3]| 8.0 + 12.0 * (p[1] / 30.0).sin() + 0.4 * (p[0].abs() - 70.0);
    let (bent, wrong) = with_fissure(1.5, bend);
    assert!(wrong < 0.02, "{wrong:.3} lies on the wrong side of a bent fissure");
    for lobes in [lobes, bent] {
        let estimated: Vec<LobeName> = lobes.iter().filter(|l| l.estimated).map(|l| l.name).collect();
        assert_eq!(estimated, [LobeName::RightUpper, LobeName::RightMiddle], "no horizontal fissure shows");
    }
}

#[test]
fn a_fissure_that_does_not_show_leaves_the_usual_lobes_and_they_are_called_estimated() {
    let plain = chest(2.0).volume();
    assert!(lobes::divide(&plain, &examined(&plain).lungs).iter().all(|l| l.estimated));
    // On thick slices no fissure is looked for.
    let (thick, wrong) = with_fissure(5.0, |_| 8.0);
    assert!(thick.iter().all(|l| l.estimated));
    assert!(wrong > 0.01, "this scan would show a fissure");
}

/// The lung between holes is thin and bright, too. (A phantom with emphysema and without fissures had a right lower lobe that was
/// called seen, behind a surface like an S.)
#[test]
fn the_walls_between_holes_of_emphysema_are_no_fissure() {
    const APART_MM: f64 = 11.0;
    let hole = |p: [f64; 3]| {
        let cell = p.map(|v| (v / APART_MM).floor());
        // A number from 0 to 1 for each cell and axis.
        let moved = |a: usize| {
            let [x, y, z] = cell;
            let wave = (x * 12.9898 + y * 78.233 + z * 37.719 + a as f64 * 11.17).sin() * 43758.5453;
            wave - wave.floor()
        };
        let centre = [0, 1, 2].map(|a| (cell[a] + 0.35 + 0.3 * moved(a)) * APART_MM);
        ball(centre, 3.5 + 2.0 * moved(3))(p) < 0.0
    };
    let holes = planted(&chest(1.5), |p, hu| if hu == -850 && hole(p) { -990 } else { hu });
    let lobes = lobes::divide(&holes, &examined(&holes).lungs);
    assert!(lobes.iter().all(|l| l.estimated), "{:?}", lobes.iter().map(|l| (l.name, l.estimated)).collect::<Vec<_>>());
}

/// Why each finding is not evaluated when the network sees nothing; `None` for one that is absent.
fn absent(chest: &Chest, facts: &Acquisition) -> Vec<(ChestFinding, Option<Reason>)> {
    let findings = all(&chest.volume(), &[], facts);
    assert_eq!(findings.partly_seen, [], "nothing was found");
    ChestFinding::ALL.map(|f| (f, findings.refusal(f).map(|why| why.reason.clone()))).to_vec()
}

#[test]
fn nothing_is_called_absent_of_an_organ_that_was_not_seen_whole() {
    use ChestFinding::{CoronaryCalcification, LymphNode, PleuralEffusion, RibFracture};
    let scanned = |z_mm| Chest { z_mm, ..chest(2.0) };
    let wide = |half_width_mm| Chest { half_width_mm, ..chest(2.0) };
    // What may still be called absent, and why the rest may not.
    let cases: [(Chest, Option<Reason>, &[ChestFinding]); 6] = [
        (wide(116.0), Some(Reason::LungsAtEdge), &[]),
        (scanned([0.0, 126.0]), Some(Reason::ScanEndsBelow), &[]),
        // The bases are there.
        (scanned([-120.0, 40.0]), Some(Reason::ScanEndsAbove), &[PleuralEffusion]),
        (scanned([-60.0, 60.0]), Some(Reason::ScanEndsBoth), &[]),
        (scanned([-200.0, -60.0]), Some(Reason::OnlyBases), &[PleuralEffusion]),
        (scanned([60.0, 200.0]), Some(Reason::OnlyApices), &[]),
    ];
    for (chest, why, still) in cases {
        for (finding, reason) in absent(&chest, &Acquisition::default()) {
            match reason {
                None => assert!(still.contains(&finding), "{finding:?} is called absent: {why:?}"),
                // The places themselves need both lungs and the spine.
                Some(Reason::NoSpine | Reason::OneLung) => {}
                Some(_) => assert!(!still.contains(&finding) && reason == why, "{finding:?}: {reason:?}, not {why:?}"),
            }
        }
    }
    assert!(absent(&chest(2.0), &Acquisition::default()).iter().all(|(_, reason)| reason.is_none()));
    let only =
        |all: Vec<(ChestFinding, Option<Reason>)>| all.into_iter().filter(|(_, r)| r.is_some()).collect::<Vec<_>>();
    let base = only(absent(&scanned([-98.0, 126.0]), &Acquisition::default()));
    assert_eq!(base, [(PleuralEffusion, Some(Reason::BaseCut))], "fluid gathers in the lowest place");
    let apex = only(absent(&scanned([-126.0, 98.0]), &Acquisition::default()));
    assert!(apex.iter().all(|(_, reason)| *reason == Some(Reason::ApexCut)), "{apex:?}");
    let needs_it = [ChestFinding::Nodule, ChestFinding::Pneumothorax, RibFracture, ChestFinding::Emphysema];
    assert!(needs_it.iter().all(|finding| apex.iter().any(|(cut, _)| cut == finding)), "{apex:?}");
    assert!(apex.iter().all(|(finding, _)| *finding != PleuralEffusion), "air rises, fluid does not: {apex:?}");
    let wall = only(absent(&wide(130.0), &Acquisition::default()));
    assert_eq!(wall, [(RibFracture, Some(Reason::ChestWallCut))], "the lungs are whole, the ribs are not");
    // A gated scan is planned on the heart.
    let gated = Acquisition { cardiac_gated: Some(true), ..Acquisition::default() };
    let heart = only(absent(&scanned([-60.0, 60.0]), &gated));
    assert!(heart.iter().all(|(finding, _)| *finding != CoronaryCalcification), "{heart:?}");
    assert!(heart.iter().any(|(finding, _)| *finding == LymphNode));
}

/// The left half of the chest, air and vessels, holds this instead.
fn left_half(hu: i16) -> Volume {
    let shape = chest(2.0);
    let collapsed = ball([34.0, 0.0, 10.0], 16.0);
    planted(&shape, |p, own| match shape.in_lung(p) {
        Some(1) if collapsed(p) <= 0.0 => 40,
        Some(1) => hu,
        _ => own,
    })
}

#[test]
fn nothing_is_called_absent_where_the_air_of_a_large_pneumothorax_takes_the_place_of_a_lung() {
    let volume = left_half(-1000);
    let findings = all(&volume, &[], &Acquisition::default());
    for finding in ChestFinding::ALL {
        let why = findings.refusal(finding).map(|why| &why.reason);
        let is_space = matches!(why, Some(Reason::AirSpace { side: Side::Left, .. }));
        let placeless = matches!(finding, ChestFinding::RibFracture | ChestFinding::CoronaryCalcification);
        assert!(is_space || (placeless && why.is_some()), "{finding:?} is called absent: {why:?}");
    }
    assert_eq!(done(findings.lungs).len(), 1, "it is not measured as lung");
    // And what the network sees there is reported on its side.
    let shape = chest(2.0);
    let air = |p: [f64; 3]| if shape.in_lung(p) == Some(1) { -1.0 } else { 1.0 };
    let findings = all(&volume, &[(Channel::Pneumothorax, &air)], &Acquisition::default());
    assert!(findings.part_missing(ChestFinding::Pneumothorax).is_some());
    let found = done(findings.pneumothoraces);
    assert_eq!(found.iter().map(|one| one.side).collect::<Vec<_>>(), [Side::Left]);
    assert!(found[0].region.volume_ml > 1000.0, "{}", found[0].region.volume_ml);
    // The network marks a part of that air only: its share is of the half of the chest, not of itself.
    let part = ball([70.0, 0.0, 30.0], 25.0);
    let found = done(all(&volume, &[(Channel::Pneumothorax, &part)], &Acquisition::default()).pneumothoraces);
    assert!(found.len() == 1 && found[0].percent < 20.0, "{found:?}");
}

#[test]
fn with_only_one_lung_nothing_is_called_absent_and_what_it_shows_is_of_that_lung() {
    let gated = Acquisition { cardiac_gated: Some(true), ..Acquisition::default() };
    let volume = left_half(40);
    for facts in [gated, Acquisition::default()] {
        let findings = all(&volume, &[], &facts);
        for finding in ChestFinding::ALL {
            // Ribs and coronaries have no place without a spine, which lies between two lungs.
            let why = findings.refusal(finding).map(|why| why.reason.clone());
            let placeless = matches!(finding, ChestFinding::RibFracture | ChestFinding::CoronaryCalcification);
            assert!(
                why == Some(Reason::OneLung) || (placeless && why.is_some()),
                "{finding:?} is called absent: {why:?}"
            );
        }
        let lungs = done(findings.lungs);
        assert!(lungs.len() == 1 && lungs[0].laa950_percent.is_some());
    }
    let (haze, fluid) = (ball([-70.0, 0.0, 30.0], 20.0), ball([15.0, 20.0, -60.0], 12.0));
    let mist = |p: [f64; 3], hu| if haze(p) <= 0.0 && hu == -850 { -600 } else { hu };
    let volume = planted(&chest(2.0), |p, hu| if chest(2.0).in_lung(p) == Some(1) { 40 } else { mist(p, hu) });
    let shapes: [Shape<'_>; 2] = [(Channel::GroundGlass, &haze), (Channel::PleuralEffusion, &fluid)];
    let findings = all(&volume, &shapes, &Acquisition::default());
    assert_eq!(findings.part_missing(ChestFinding::Pneumonia), Some(&Reason::OneLung));
    let pneumonia = done(findings.pneumonia);
    let parts: Vec<LungPart> = pneumonia.extents.iter().map(|extent| extent.part).take(2).collect();
    assert_eq!(parts[0], LungPart::Lung(Side::Right), "a share of one lung is none of both: {parts:?}");
    match findings.pleural_effusions {
        Evaluated::Done(found) => {
            assert!(
                found.iter().all(|one| one.side == Side::Left),
                "fluid beyond the only lung is in the other half: {found:?}"
            );
            assert!(!found.is_empty());
        }
        Evaluated::NotEvaluated(why) => assert_eq!(why.reason, Reason::OneLung),
    }
}

#[test]
fn what_is_found_in_a_part_stays_and_says_that_it_is_a_part() {
    let air = ball([70.0, -45.0, 40.0], 18.0);
    let haze = ball([-70.0, 0.0, 50.0], 16.0);
    let cut = Chest { z_mm: [0.0, 126.0], ..chest(2.0) };
    let volume = planted(&cut, |p, hu| match () {
        () if air(p) <= 0.0 && hu == -850 => -1000,
        () if haze(p) <= 0.0 => -600,
        () => hu,
    });
    let inside = |p: [f64; 3]| air(p).max(if cut.in_lung(p).is_some() { -1.0 } else { 1.0 });
    let shapes: [Shape<'_>; 2] = [(Channel::Pneumothorax, &inside), (Channel::GroundGlass, &haze)];
    let findings = all(&volume, &shapes, &Acquisition::default());
    let parts: Vec<(ChestFinding, &Reason)> = findings.partly_seen.iter().map(|p| (p.finding, &p.reason)).collect();
    let why = &Reason::ScanEndsBelow;
    assert_eq!(parts, [(ChestFinding::Pneumonia, why), (ChestFinding::Pneumothorax, why)]);
    assert_eq!(findings.part_missing(ChestFinding::Pneumothorax), Some(why));
    let pneumonia = done(findings.pneumonia);
    near(pneumonia.ground_glass[0].volume_ml, ball_ml(16.0), 0.05);
    assert!(pneumonia.extents.is_empty(), "no share of lungs that were not seen whole");
    assert_eq!(done(findings.pneumothoraces).len(), 1);
    assert!(matches!(findings.emphysema, Evaluated::NotEvaluated(_)), "a percentage of a part is none of the lungs");
}
