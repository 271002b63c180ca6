//! What is in the mediastinum besides fat: great vessels, oesophagus, trachea and the bronchi up to the lobes.

use super::anatomy::Chest;
use super::render::Tube;
use super::shape::Rod;

/// Great vessels, trachea and bronchi up to the lobes.
pub fn tubes(chest: &Chest) -> Vec<Tube> {
    let mut tubes: Vec<Tube> = chest
        .mediastinum()
        .into_iter()
        .map(|(rod, hu)| Tube { rod, hu, wall: None, central: true, lesion: None })
        .collect();
    // All walls are painted before the air. Otherwise the wall of a bronchus would close the opening of its neighbour.
    let airways = chest.airways();
    for rod in &airways {
        let wide = Rod { from_radius: rod.from_radius + 1.3, to_radius: rod.to_radius + 1.2, ..*rod };
        tubes.push(Tube { rod: wide, hu: 30.0, wall: None, central: true, lesion: None });
    }
    for rod in airways {
        tubes.push(Tube { rod, hu: -1000.0, wall: Some(0.0), central: true, lesion: None });
    }
    tubes
}

impl Chest {
    /// Aorta, pulmonary trunk, great veins, oesophagus: rods in patient mm with their HU.
    pub fn mediastinum(&self) -> Vec<(Rod, f32)> {
        let blood = self.blood_hu;
        let paths: [(&[[f32; 4]], f32); 13] = [
            (
                &[
                    [-10., -26., -25., 16.],
                    [-18., -20., 25., 16.],
                    [-15., -16., 55., 15.],
                    [2., 6., 69., 14.],
                    [19., 36., 60., 13.],
                ],
                blood,
            ),
            (&[[19., 36., 60., 12.5], [23., 44., 30., 12.], [23., 46., -60., 11.], [14., 40., -200., 10.]], blood),
            (&[[-31., -16., -10., 9.], [-30., -18., 60., 8.], [-34., -22., 150., 7.]], blood * 1.1),
            (&[[18., -46., -5., 14.], [12., -24., 18., 13.], [38., 2., 24., 7.5]], blood),
            (&[[12., -22., 16., 11.], [-38., 2., 12., 7.5]], blood),
            (&[[-2., 4., 68., 6.5], [-18., -4., 110., 6.], [-30., -4., 150., 5.5]], blood),
            (&[[8., 12., 68., 4.5], [18., 12., 150., 4.5]], blood),
            (&[[16., 28., 64., 5.], [30., 18., 110., 5.], [30., 8., 150., 5.]], blood),
            (&[[-30., -18., 62., 7.], [20., -28., 78., 6.], [38., -18., 150., 6.]], blood * 1.1),
            (&[[3., 34., 150., 7.], [2., 36., 40., 7.], [6., 32., -50., 7.5], [16., 22., -120., 8.]], 38.0),
            (&[[-10., -6., -36., 13.], [-22., 8., -62., 12.], [-24., 12., -200., 12.]], blood),
            // The lower pulmonary veins, from the left atrium to where their trees begin.
            (&[[-4., -6., -26., 8.], [-32., 4., -16., 6.]], blood),
            (&[[12., -4., -26., 8.], [32., 4., -16., 6.]], blood),
        ];
        let mut rods = Vec::new();
        for (path, hu) in paths {
            for pair in path.windows(2) {
                rods.push((self.rod(pair[0], pair[1]), hu));
            }
        }
        rods
    }

    /// Arch and descending aorta, as far as they are in a chest scan.
    pub fn aortic_wall(&self) -> [Rod; 3] {
        [
            self.rod([-15., -16., 55., 15.], [2., 6., 69., 14.]),
            self.rod([2., 6., 69., 14.], [19., 36., 60., 13.]),
            self.rod([23., 44., 30., 12.], [23., 46., -60., 11.]),
        ]
    }

    /// Trachea and the first bronchi: inner radius, in patient mm. Index 0 of the result are the central airways (not
    /// lung), then come the ends from which each lung's tree grows.
    pub fn airways(&self) -> Vec<Rod> {
        let stations: [[[f32; 4]; 2]; 7] = [
            [[0., 10., 155., 8.6], [0., 20., 38., 8.4]],
            [[0., 20., 38., 6.8], [-30., 14., 18., 6.2]],
            [[0., 20., 38., 6.2], [38., 18., 12., 5.4]],
            [[-30., 14., 18., 5.2], [-42., 12., -12., 3.5]],
            [[-28., 14., 20., 4.4], [-50., 14., 34., 3.2]],
            [[38., 18., 12., 4.6], [48., 26., -12., 3.4]],
            [[38., 18., 12., 4.4], [54., 2., 24., 3.2]],
        ];
        stations.iter().map(|[a, b]| self.rod(*a, *b)).collect()
    }

    /// Makes a rod in the patient from standard (x, y, z, radius) at both ends.
    fn rod(&self, a: [f32; 4], b: [f32; 4]) -> Rod {
        Rod {
            from: self.to_patient([a[0], a[1], a[2]]),
            to: self.to_patient([b[0], b[1], b[2]]),
            from_radius: a[3] * self.scale,
            to_radius: b[3] * self.scale,
        }
    }
}
