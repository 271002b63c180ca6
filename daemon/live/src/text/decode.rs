//! From the network's answer to characters. Pure.

use hal::accel::Tensor;

use super::{Letter, Line};

/// The best class of each step, without repetitions and "nothing" (best path of connectionist temporal classification, Graves
/// et al., ICML 2006). `answer`: `[1, steps, classes]`, probabilities; `None` when it has another form.
pub fn line(answer: &Tensor, classes: usize, characters: &[char]) -> Option<Line> {
    let [1, steps, found] = answer.shape[..] else { return None };
    if found != classes || answer.data.len() != steps * classes {
        return None;
    }
    let (mut read, mut last): (Vec<Letter>, usize) = (Vec::new(), 0);
    for step in answer.data.chunks_exact(classes) {
        let (class, sure) = step.iter().copied().enumerate().max_by(|a, b| a.1.total_cmp(&b.1))?;
        if !(0.0..=1.0 + 1e-3).contains(&sure) {
            return None;
        }
        if class == last && class > 0 {
            // The same letter over several steps is as sure as at its surest.
            if let Some(letter) = read.last_mut() {
                letter.sure = letter.sure.max(sure);
            }
        } else if let Some(character) = class.checked_sub(1).and_then(|place| characters.get(place)) {
            read.push(Letter { character: *character, sure });
        }
        last = class;
    }
    Some(Line(read))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(path: &[(usize, f32)]) -> Tensor {
        let data = path.iter().flat_map(|(class, sure)| (0..4).map(move |c| if c == *class { *sure } else { 0.0 }));
        Tensor { shape: vec![1, path.len(), 4], data: data.collect() }
    }

    #[test]
    fn repetitions_are_one_letter_unless_nothing_lies_between_them() {
        let path = answer(&[(0, 0.9), (1, 0.6), (1, 0.8), (0, 0.9), (1, 0.7), (3, 0.5)]);
        let line = line(&path, 4, &['A', 'B', ' ']).unwrap();
        assert_eq!(line.text(), "AA ");
        assert_eq!(line.0.iter().map(|letter| letter.sure).collect::<Vec<_>>(), [0.8, 0.7, 0.5]);
    }

    #[test]
    fn an_answer_of_another_form_or_without_probabilities_is_none() {
        let letters = ['A', 'B', ' '];
        assert_eq!(line(&answer(&[(1, 0.5)]), 5, &letters), None);
        assert_eq!(line(&Tensor { shape: vec![1, 1, 4], data: vec![0.0; 3] }, 4, &letters), None);
        assert_eq!(line(&answer(&[(1, f32::NAN)]), 4, &letters), None);
        assert_eq!(line(&answer(&[(1, 7.0)]), 4, &letters), None);
    }
}
