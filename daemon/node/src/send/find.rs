//! C-FIND over an association that we requested: the question, its answers one by one, and a C-CANCEL when there are enough.

use std::time::Duration;

use dicom_ul::pdu::{AbortRQSource, Pdu};
use tokio::time::timeout;

use super::{Association, Error};
use crate::elements::Syntax;
use crate::message;
use crate::open::Limit;
use crate::status::SUCCESS;

/// More answers follow; some keys that were asked for are optional and not supported (PS3.4 section K.4.1.1.4).
pub(crate) const PENDING: [u16; 2] = [0xff00, 0xff01];

/// How long a peer may go on after a C-CANCEL. Afterwards the association is aborted.
pub(super) const STOPS: Duration = Duration::from_secs(10);

/// What is wanted after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    More,
    /// The peer is asked to stop. What it still sends is discarded.
    Enough,
}

impl Association {
    /// Sends a C-FIND-RQ in the first context of this class that was accepted. `take` gets each identifier with its transfer
    /// syntax; `None` for one of more than `most` bytes.
    ///
    /// # Errors
    /// `Refused` when the last answer is not success; `Silent` when not all answers are here at the limit; else as
    /// [`Association::store`]. What `take` has got is then not all.
    pub(crate) async fn find(
        &mut self,
        class: &str,
        identifier: impl FnOnce(Syntax) -> Vec<u8>,
        most: usize,
        limit: Limit<'_>,
        mut take: impl FnMut(Option<&[u8]>, &str) -> Next,
    ) -> Result<(), Error> {
        let (id, context) = self.put(class, |id| message::find_request(id, class), identifier).await?;
        loop {
            let found = limit.hold("send all answers", self.found(id, most)).await;
            match self.or_abort(found).await? {
                Found::Match(identifier) => {
                    if take(identifier.as_deref(), &context.transfer_syntax) == Next::Enough {
                        return self.cancel(context.id, id, most).await;
                    }
                }
                Found::End { status: SUCCESS, .. } => return Ok(()),
                Found::End { status, comment } => return Err(Error::Refused { status, comment }),
            }
        }
    }

    /// A peer that does not stop loses its association: what was wanted is here.
    async fn cancel(&mut self, context: u8, id: u16, most: usize) -> Result<(), Error> {
        let stopped = async {
            self.sender.command(context, &message::cancel_request(id)).await?;
            while matches!(self.found(id, most).await?, Found::Match(_)) {}
            Ok::<_, Error>(())
        };
        if timeout(STOPS, stopped).await.is_err() {
            self.abort().await;
        }
        Ok(())
    }

    /// A peer that is late must not be left with an association on which it is not heard.
    async fn or_abort(&mut self, found: Result<Found, Error>) -> Result<Found, Error> {
        if matches!(found, Err(Error::Silent { .. })) {
            self.abort().await;
        }
        found
    }

    pub(crate) async fn abort(&mut self) {
        self.over = true;
        let _ = timeout(STOPS, self.sender.pdus.send_pdu(&Pdu::AbortRQ { source: AbortRQSource::ServiceUser })).await;
        self.sender.pdus.close().await;
    }

    async fn found(&mut self, id: u16, most: usize) -> Result<Found, Error> {
        let response = self.response(id).await?;
        let identifier = if response.has_data_set {
            match self.data_set(most).await {
                Ok(identifier) => identifier,
                Err(fault) => return Err(self.over(fault.into()).await),
            }
        } else {
            Some(Vec::new())
        };
        match response.status {
            status if PENDING.contains(&status) => Ok(Found::Match(identifier)),
            status => Ok(Found::End { status, comment: response.comment }),
        }
    }
}

enum Found {
    /// `None`: too large.
    Match(Option<Vec<u8>>),
    End {
        status: u16,
        comment: String,
    },
}
