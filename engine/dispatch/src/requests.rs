//! Requests that were done, so that one sent twice is done once.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

use vpp_core::{Invalid, InvalidKind, RequestId};

use crate::input::{Answer, Request};

/// How many are remembered; older ones are forgotten first.
const REMEMBERED: usize = 100_000;

#[derive(Clone, Debug, Default)]
pub(crate) struct Requests {
    done: BTreeMap<RequestId, (u64, Answer)>,
    order: VecDeque<RequestId>,
}

impl Requests {
    /// The answer given before to this very request, if any.
    ///
    /// # Errors
    /// When the name was used for another request.
    pub(crate) fn recall(
        &self,
        id: &RequestId,
        request: &Request,
    ) -> Result<Option<Answer>, Invalid> {
        match self.done.get(id) {
            None => Ok(None),
            Some((known, answer)) if *known == fingerprint(request) => Ok(Some(answer.clone())),
            Some(_) => Err(Invalid {
                kind: InvalidKind::Taken,
                field: "request_id".into(),
                problem: format!("{id} was used for another request"),
            }),
        }
    }

    /// Remembers what was answered.
    pub(crate) fn remember(&mut self, id: RequestId, request: &Request, answer: Answer) {
        if self
            .done
            .insert(id.clone(), (fingerprint(request), answer))
            .is_none()
        {
            self.order.push_back(id);
        }
        while self.order.len() > REMEMBERED {
            if let Some(oldest) = self.order.pop_front() {
                self.done.remove(&oldest);
            }
        }
    }
}

/// The same for equal requests, in every process that is built from the same code.
fn fingerprint(request: &Request) -> u64 {
    let mut hasher = DefaultHasher::new();
    format!("{request:?}").hash(&mut hasher);
    hasher.finish()
}
