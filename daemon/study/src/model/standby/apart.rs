//! A network on a thread of its own, so that a device that hangs holds up nobody: the thread is left to itself.

use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::time::Duration;

use hal::accel::{self, AccelFault, OnCard, Patchwork};
use hal::{LoadedModel, Tensor};

use super::{Left, Ticket};

pub(super) struct Apart {
    ask: SyncSender<Asked>,
    answers: Receiver<Answer>,
    ticket: Ticket,
}

/// What the thread is asked. After `Begin` was answered with yes, only patches are, until `Blended` or `End`.
enum Asked {
    Run(Vec<Tensor>),
    Begin(Arc<Patchwork>),
    Patch([usize; 3]),
    Blended,
    /// Gets no answer: nobody waits until memory is given back.
    End,
}

enum Answer {
    Ran(Result<Vec<Tensor>, accel::Error>),
    Begun(Result<bool, accel::Error>),
    Patched(Result<Option<f32>, accel::Error>),
    Blended(Result<Vec<Vec<u16>>, accel::Error>),
}

impl fmt::Debug for Apart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Apart").finish_non_exhaustive()
    }
}

pub(super) fn device(why: impl Into<String>) -> accel::Error {
    accel::Error::new(AccelFault::Device, why)
}

/// The thread's own end.
struct Thread {
    asked: Receiver<Asked>,
    answers: SyncSender<Answer>,
    ticket: Ticket,
}

impl Thread {
    /// False: nobody asks any more.
    fn say(&self, answer: Answer) -> bool {
        self.ticket.answered();
        self.answers.send(answer).is_ok()
    }

    fn serve(&self, model: &mut dyn LoadedModel) {
        while let Ok(asked) = self.asked.recv() {
            let goes_on = match asked {
                Asked::Run(inputs) => self.say(Answer::Ran(model.run(&inputs))),
                Asked::Begin(work) => match model.on_card(&work) {
                    Ok(Some(card)) => self.say(Answer::Begun(Ok(true))) && self.patches(card),
                    Ok(None) => self.say(Answer::Begun(Ok(false))),
                    Err(error) => self.say(Answer::Begun(Err(error))),
                },
                Asked::End => true,
                Asked::Patch(_) => self.say(Answer::Patched(Err(not_begun()))),
                Asked::Blended => self.say(Answer::Blended(Err(not_begun()))),
            };
            if !goes_on {
                return;
            }
        }
    }

    fn patches(&self, mut card: Box<dyn OnCard + '_>) -> bool {
        while let Ok(asked) = self.asked.recv() {
            match asked {
                Asked::Patch(origin) => {
                    if !self.say(Answer::Patched(card.patch(origin))) {
                        return false;
                    }
                }
                Asked::Blended => {
                    let made = card.blended();
                    // The memory is free once the answer is there.
                    drop(card);
                    return self.say(Answer::Blended(made));
                }
                Asked::Run(_) | Asked::Begin(_) | Asked::End => return true,
            }
        }
        false
    }
}

fn not_begun() -> accel::Error {
    accel::Error::new(AccelFault::BadInput, "no volume was begun")
}

impl Apart {
    /// The thread has the scheduling and the niceness of the one that starts it.
    pub fn start(mut model: Box<dyn LoadedModel>, left: &Left) -> std::io::Result<Self> {
        let ticket = left.ticket();
        // Two: a question may follow `End`.
        let (ask, asked) = mpsc::sync_channel(2);
        let (say, answers) = mpsc::sync_channel(1);
        let thread = Thread { asked, answers: say, ticket: ticket.clone() };
        std::thread::Builder::new().name("gpu".into()).spawn(move || thread.serve(model.as_mut()))?;
        Ok(Self { ask, answers, ticket })
    }

    pub fn run(&self, inputs: &[Tensor], patience: Duration) -> Result<Vec<Tensor>, accel::Error> {
        let ran = |answer| if let Answer::Ran(ran) = answer { Some(ran) } else { None };
        self.ask(Asked::Run(inputs.to_vec()), patience, ran)
    }

    /// False: the network's numbers cannot stay on the device.
    pub fn begin(&self, work: &Arc<Patchwork>, patience: Duration) -> Result<bool, accel::Error> {
        let begun = |answer| if let Answer::Begun(begun) = answer { Some(begun) } else { None };
        self.ask(Asked::Begin(work.clone()), patience, begun)
    }

    pub fn patch(&self, origin: [usize; 3], patience: Duration) -> Result<Option<f32>, accel::Error> {
        let patched = |answer| if let Answer::Patched(patched) = answer { Some(patched) } else { None };
        self.ask(Asked::Patch(origin), patience, patched)
    }

    pub fn blended(&self, patience: Duration) -> Result<Vec<Vec<u16>>, accel::Error> {
        let blended = |answer| if let Answer::Blended(blended) = answer { Some(blended) } else { None };
        self.ask(Asked::Blended, patience, blended)
    }

    /// `of` takes out of the answer what was asked for.
    fn ask<T>(
        &self,
        what: Asked,
        patience: Duration,
        of: impl FnOnce(Answer) -> Option<Result<T, accel::Error>>,
    ) -> Result<T, accel::Error> {
        self.ticket.again();
        self.ask.try_send(what).map_err(|_| device("its thread has ended"))?;
        match self.answers.recv_timeout(patience) {
            Ok(answer) => of(answer).unwrap_or_else(|| Err(device("it answered another question"))),
            Err(RecvTimeoutError::Timeout) => {
                self.ticket.give_up();
                Err(device(format!("no answer within {} s", patience.as_secs())))
            }
            Err(RecvTimeoutError::Disconnected) => Err(device("its library crashed")),
        }
    }

    /// Nobody wants more of the patches that were begun.
    pub fn end(&self) {
        let _ = self.ask.try_send(Asked::End);
    }
}
