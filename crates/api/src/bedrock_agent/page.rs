//! Pages of lists: how many, from where, and the token of the next one.
//!
//! A token names the list that it was made for and the last item shown, in hex, so that a token
//! of another list or a made-up one is refused.

use std::fmt::Write as _;

use wire::fault::Fault;

/// Items of a page where the client does not say. Ours: AWS does not say.
const DEFAULT: usize = 100;

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Page {
    list: String,
    limit: usize,
    pub(crate) after: Option<String>,
}

impl Page {
    /// `list` names the operation and what it lists, such as `aliases/AGENT`.
    pub(crate) fn open(
        list: String,
        max_results: Option<i64>,
        token: Option<&str>,
    ) -> Result<Page, Fault> {
        let limit = max_results.and_then(|n| usize::try_from(n).ok()).unwrap_or(DEFAULT);
        let Some(token) = token else { return Ok(Page { list, limit, after: None }) };
        let text = unhex(token);
        let after = text.as_deref().and_then(|text| text.strip_prefix(&list)?.strip_prefix('\n'));
        match after.map(str::to_owned) {
            Some(after) => Ok(Page { list, limit, after: Some(after) }),
            None => Err(Fault::validation(format!(
                "Value '{token}' at 'nextToken' is not a token of this list; start without one"
            ))),
        }
    }

    /// One more than a page holds, to see whether there is a next one.
    pub(crate) fn rows(&self) -> usize {
        self.limit + 1
    }

    /// Cuts rows to a page and makes the next one's token.
    pub(crate) fn cut<T>(&self, mut rows: Vec<(String, T)>) -> (Vec<T>, Option<String>) {
        let more = rows.len() > self.limit;
        rows.truncate(self.limit);
        let last = rows.last().filter(|_| more).map(|(id, _)| id.clone());
        let next = last.map(|id| hex(&format!("{}\n{id}", self.list)));
        (rows.into_iter().map(|(_, row)| row).collect(), next)
    }

    /// A page of a list that is at hand as a whole, sorted by id; an item that went away since the
    /// last page is no matter.
    pub(crate) fn of<T>(&self, rows: Vec<(String, T)>) -> (Vec<T>, Option<String>) {
        let seen = |id: &String| self.after.as_ref().is_some_and(|after| id <= after);
        self.cut(rows.into_iter().filter(|(id, _)| !seen(id)).collect())
    }
}

fn hex(text: &str) -> String {
    text.bytes().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn unhex(hex: &str) -> Option<String> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let pairs = hex.as_bytes().chunks(2);
    let bytes: Option<Vec<u8>> = pairs
        .map(|pair| match pair {
            [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
            _ => None,
        })
        .collect();
    String::from_utf8(bytes?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<(String, u32)> {
        (1..=5).map(|n| (format!("id{n}"), n)).collect()
    }

    #[test]
    fn pages_follow_each_other_without_gap_or_repeat() {
        let (mut seen, mut token) = (Vec::new(), None);
        loop {
            let page = Page::open("list/a".into(), Some(2), token.as_deref()).unwrap();
            let (items, next) = page.of(rows());
            seen.push(items);
            token = next;
            if token.is_none() {
                break;
            }
        }
        assert_eq!(seen, [vec![1, 2], vec![3, 4], vec![5]]);
    }

    #[test]
    fn a_token_of_another_list_or_a_made_up_one_is_refused() {
        let (_, token) = Page::open("list/a".into(), Some(2), None).unwrap().of(rows());
        for bad in [token.as_deref().unwrap(), "zz", "abc", "{}"] {
            let fault = Page::open("list/b".into(), None, Some(bad)).unwrap_err();
            assert_eq!(fault.code(), "ValidationException", "{bad}");
        }
    }
}
