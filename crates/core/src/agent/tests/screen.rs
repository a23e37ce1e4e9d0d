//! Streaming as data: however a reply is cut into pieces, what goes out is the recorded answer.

use proptest::prelude::*;
use wire::converse::Block;

use crate::agent::prompt::{Screen, answer};
use crate::agent::state::text_of;

/// Pieces that answers and tags are made of, whole and broken.
const WORDS: [&str; 13] =
    ["<answer>", "</answer>", "<", "</", "<ans", "wer>", "er>", ">", " ", "\n", "a", "é", "bc"];

fn block() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(&WORDS[..]), 0..12).prop_map(|words| words.concat())
}

fn recorded(blocks: &[String]) -> String {
    let kept = blocks.iter().filter(|text| !text.trim().is_empty());
    answer(&text_of(&kept.cloned().map(Block::Text).collect::<Vec<_>>()))
}

/// Cuts each block after the characters whose bit is set.
fn streamed(blocks: &[String], cuts: u64) -> String {
    let (mut screen, mut out, mut at) = (Screen::default(), String::new(), 0);
    for (index, block) in blocks.iter().enumerate() {
        let mut piece = String::new();
        for char in block.chars() {
            piece.push(char);
            if cuts >> (at % 64) & 1 == 1 {
                out.push_str(&screen.push(index, &std::mem::take(&mut piece)));
            }
            at += 1;
        }
        out.push_str(&screen.push(index, &piece));
    }
    out.push_str(&screen.finish());
    out
}

proptest! {
    #[test]
    fn however_a_reply_is_cut_the_same_answer_goes_out(
        blocks in prop::collection::vec(block(), 1..4),
        cuts in any::<u64>(),
    ) {
        let expected = recorded(&blocks);
        for cuts in [0, u64::MAX, cuts] {
            prop_assert_eq!(streamed(&blocks, cuts), expected.as_str());
        }
    }
}

#[test]
fn text_between_the_tags_goes_out_as_it_comes_and_the_rest_is_held() {
    let mut screen = Screen::default();
    let pieces = ["I look. <ans", "wer>It is", " 7", " </", "answer> so"];
    let out: Vec<String> = pieces.iter().map(|piece| screen.push(0, piece)).collect();
    assert_eq!(out, ["", "It is", " 7", "", ""]);
    assert_eq!(screen.finish(), "");
}

/// At a cost that grows with the square of the length this would take minutes.
#[test]
fn a_reply_of_many_pieces_costs_no_more_per_piece() {
    let piece = "ää ".repeat(300);
    let pieces = 20_000;
    let mut screen = Screen::default();
    assert!((0..pieces).all(|_| screen.push(0, &piece).is_empty()));
    assert_eq!(
        screen.push(0, "é<ans") + &screen.push(0, "wer>a</ans") + &screen.push(0, "wer>"),
        "a"
    );
    assert_eq!(screen.finish(), "");

    let mut screen = Screen::default();
    let held: String = (0..pieces).map(|_| screen.push(0, &piece)).collect();
    assert_eq!((held.len(), screen.finish().len()), (0, piece.len() * pieces - 1));
}
