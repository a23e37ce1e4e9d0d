//! Pages of lists: a marker is the base64 of the last item shown.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use wire::fault::Fault;

use super::limits;

#[derive(Debug)]
pub(super) struct Page {
    pub(super) after: Option<String>,
    most: usize,
}

impl Page {
    pub(super) fn open(marker: Option<&str>, max_items: Option<i64>) -> Result<Page, Fault> {
        let most = usize::try_from(max_items.unwrap_or(limits::PAGE)).unwrap_or(1).max(1);
        let Some(marker) = marker else { return Ok(Page { after: None, most }) };
        let bytes = URL_SAFE_NO_PAD.decode(marker).ok();
        match bytes.and_then(|bytes| String::from_utf8(bytes).ok()) {
            Some(after) => Ok(Page { after: Some(after), most }),
            // AWS: code and status of the common errors of IAM.
            None => Err(Fault::new("ValidationError", 400, format!("Invalid Marker: {marker}"))),
        }
    }

    /// As many rows as tell whether there is another page.
    pub(super) fn rows(&self) -> usize {
        self.most + 1
    }

    /// Cuts rows, sorted by id and all after the marker, to a page; gives the next marker.
    pub(super) fn cut<T>(&self, mut rows: Vec<(String, T)>) -> (Vec<T>, Option<String>) {
        let more = rows.len() > self.most;
        rows.truncate(self.most);
        let last = rows.last().filter(|_| more).map(|(id, _)| URL_SAFE_NO_PAD.encode(id));
        (rows.into_iter().map(|(_, row)| row).collect(), last)
    }

    /// A page of a whole list, sorted by id.
    pub(super) fn of<T>(
        &self,
        rows: impl IntoIterator<Item = (String, T)>,
    ) -> (Vec<T>, Option<String>) {
        let after = self.after.as_deref();
        let rest = rows.into_iter().filter(|(id, _)| after.is_none_or(|after| id.as_str() > after));
        self.cut(rest.take(self.rows()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::Page;

    #[test]
    fn pages_follow_each_other_without_gap_or_repeat() {
        let rows = || (1..=5).map(|n| (format!("id{n}"), n));
        let (mut seen, mut marker) = (Vec::new(), None);
        loop {
            let page = Page::open(marker.as_deref(), Some(2)).unwrap();
            let (items, next) = page.of(rows());
            seen.push(items);
            marker = next;
            if marker.is_none() {
                break;
            }
        }
        assert_eq!(seen, [vec![1, 2], vec![3, 4], vec![5]]);
    }

    #[test]
    fn a_made_up_marker_is_refused() {
        assert_eq!(Page::open(Some("not a marker"), None).unwrap_err().code(), "ValidationError");
    }
}
