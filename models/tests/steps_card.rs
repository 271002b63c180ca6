//! The steps on a real card (`make gpu`): the same cases as `steps.rs`.

mod steps_cases;

use hal::cuda::Urgency;
use hal::root::Root;
use models::steps::{Card, Steps};
use needs::Lack;

#[test]
fn real_steps_of_a_card_are_those_of_the_processor() {
    if !Root::default().has_cuda_device() {
        needs::skip(Lack::Gpu, "not run: no card");
        return;
    }
    let card = Card::open(0, Urgency::Study).unwrap();
    println!("kernels on {}", card.name());
    steps_cases::letterbox(&card);
    steps_cases::resample(&card);
    steps_cases::whole();
    steps_cases::cut();
    steps_cases::blend_and_mark();
    steps_cases::odd();
}
