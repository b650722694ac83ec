//! Pages of lists: the token is the position of the next entry, which stays true because lists only grow.

use tonic::Status;
use vpp_core::Invalid;

use super::status::refused;

const DEFAULT: usize = 100;
const MOST: usize = 1_000;

/// Which part of a list is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    first: usize,
    size: usize,
}

impl Page {
    pub(crate) fn parse(size: i32, token: &str) -> Result<Page, Status> {
        let size = usize::try_from(size)
            .map_err(|_| refused(Invalid::new("page_size", format!("{size} is negative"))))?;
        let first = match token {
            "" => 0,
            token => token.parse().map_err(|_| {
                refused(Invalid::new(
                    "page_token",
                    "is not a token of an earlier page",
                ))
            })?,
        };
        Ok(Page {
            first,
            size: if size == 0 { DEFAULT } else { size.min(MOST) },
        })
    }

    /// How many entries it has at most.
    pub(crate) fn size(self) -> usize {
        self.size
    }

    /// The entries of the page, and the token of the next.
    pub(crate) fn of<T>(self, entries: impl Iterator<Item = T>) -> (Vec<T>, String) {
        let mut rest = entries.skip(self.first);
        let page: Vec<T> = rest.by_ref().take(self.size).collect();
        let next = rest.next().map(|_| (self.first + self.size).to_string());
        (page, next.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_cover_a_list_once() {
        let mut token = String::new();
        let mut seen = Vec::new();
        loop {
            let (page, next) = Page::parse(7, &token).unwrap().of(0..20);
            seen.extend(page);
            if next.is_empty() {
                break;
            }
            token = next;
        }
        assert_eq!(seen, (0..20).collect::<Vec<_>>());
    }

    #[test]
    fn bad_tokens_and_sizes_are_refused() {
        assert!(Page::parse(-1, "").is_err());
        assert!(Page::parse(1, "x").is_err());
        assert!(Page::parse(1, "-1").is_err());
    }
}
