//! The file of answers: what is done is what it says.
//!
//! An answer is one line, written by one call and never changed. A process that dies inside a write
//! leaves a line without its end: what is whole JSON gets its end, what is not is cut off and sent
//! again.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use super::record::answered;

pub(super) struct Out {
    file: File,
    path: PathBuf,
    /// The records that were answered before.
    pub(super) done: HashSet<String>,
}

impl Out {
    pub(super) fn open(path: &Path, resume: bool) -> Result<Out, String> {
        let told =
            |e: std::io::Error| format!("{} cannot be written: {e} (CR0023)", path.display());
        let mut file =
            OpenOptions::new().read(true).append(true).create(true).open(path).map_err(told)?;
        // Two batches on one file would each miss what the other does.
        if file.try_lock().is_err() {
            return Err(format!("{} is written by another batch (CR0045)", path.display()));
        }
        let length = file.metadata().map_err(told)?.len();
        if length > 0 && !resume {
            return Err(format!(
                "{} holds answers already; give --resume to go on, or another --out (CR0045)",
                path.display()
            ));
        }
        let done = mend(&mut file).map_err(|why| format!("{}: {why} (CR0045)", path.display()))?;
        Ok(Out { file, path: path.to_owned(), done })
    }

    pub(super) fn write(&mut self, line: &str) -> Result<(), String> {
        let whole = format!("{line}\n");
        self.file.write_all(whole.as_bytes()).map_err(|e| {
            let path = self.path.display();
            format!("{path} cannot be written: {e}; make room and go on with --resume (CR0023)")
        })
    }
}

/// The ids of what was answered. A line that was torn is mended.
fn mend(file: &mut File) -> Result<HashSet<String>, String> {
    let told = |e: std::io::Error| e.to_string();
    let mut done = HashSet::new();
    let (mut line, mut at) = (Vec::new(), 0_u64);
    let mut reader = BufReader::new(&*file);
    reader.seek(SeekFrom::Start(0)).map_err(told)?;
    let torn = loop {
        line.clear();
        let length = reader.read_until(b'\n', &mut line).map_err(told)?;
        if length == 0 {
            break None;
        }
        let text = String::from_utf8_lossy(&line);
        let is_whole = line.last() == Some(&b'\n');
        match (answered(text.trim_end()), is_whole) {
            (Some(id), true) => drop(done.insert(id)),
            (Some(id), false) => {
                done.insert(id);
                break Some(true);
            }
            (None, false) => break Some(false),
            (None, true) if text.trim().is_empty() => {}
            (None, true) => return Err(format!("byte {at} begins no answer; is it another file?")),
        }
        at += length as u64;
    };
    match torn {
        None => {}
        Some(true) => file.write_all(b"\n").map_err(told)?,
        Some(false) => file.set_len(at).map_err(told)?,
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, resume: bool) -> (Result<Vec<String>, String>, String) {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("out.jsonl");
        std::fs::write(&path, text).unwrap();
        let done = Out::open(&path, resume).map(|out| {
            let mut done: Vec<String> = out.done.into_iter().collect();
            done.sort();
            done
        });
        let done = done.map_err(|why| why.replace(&home.path().display().to_string(), "HOME"));
        (done, std::fs::read_to_string(&path).unwrap())
    }

    #[test]
    fn a_torn_line_is_cut_off_and_a_whole_one_gets_its_end() {
        let whole = "{\"id\":\"a\",\"output\":1}\n";
        let of = |ids: &[&str]| Ok(ids.iter().map(|id| (*id).to_owned()).collect());
        assert_eq!(
            check(&format!("{whole}{{\"id\":\"b\",\"out"), true),
            (of(&["a"]), whole.to_owned())
        );
        let both = format!("{whole}{{\"id\":\"b\",\"error\":{{}}}}");
        assert_eq!(check(&both, true), (of(&["a", "b"]), format!("{both}\n")));
        assert_eq!(check("{\"id\":\"ü", true).1, "");
    }

    #[test]
    fn a_file_of_something_else_is_left_as_it_is() {
        let (refused, text) = check("dear diary\n", true);
        assert!(refused.unwrap_err().contains("byte 0 begins no answer"));
        assert_eq!(text, "dear diary\n");
        let requests = "{\"recordId\":\"a\",\"modelInput\":{}}\n";
        assert!(check(requests, true).0.unwrap_err().contains("byte 0 begins no answer"));
        assert!(
            check("{\"id\":\"a\",\"output\":1}\n", false).0.unwrap_err().contains("give --resume")
        );
    }
}
