//! What the words of a tool's name say: whether it looks or acts, on what, and how gravely.
//!
//! Lists of English words and nothing else. A word that stands in none of them says nothing, so
//! what is not known is never held against a tool.

/// Whether a tool changes something, as far as its words tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nature {
    Reads,
    Writes,
    Unknown,
}

/// How much a call that should not have been made costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Impact {
    Usual,
    /// Unpleasant: a cancellation, a right that is given or taken.
    High,
    /// Money or data that is gone.
    Gravest,
}

const READS: &str = " analyze analyse ask assess audit browse calculate can check classify compare compute \
    convert count crawl decode describe detect determine diff discover estimate evaluate explain extract \
    fetch filter find forecast format get has head identify inspect is list load locate look lookup \
    match measure monitor parse peek ping poll predict preview query quote rank read recommend \
    report resolve retrieve review scan scrape score search select show sort suggest summarize summarise \
    tell test track translate triage validate verify view visit watch ";

const WRITES: &str = " accept activate add adjust allocate append apply approve archive assign \
    attach authorize backup ban begin block book build buy call cancel capture change charge clear \
    clone close comment commit complete configure confirm connect copy create credit deactivate \
    debit decline decrease delete deny deploy deposit destroy detach disable disconnect dispatch \
    dispute do draft drop edit email enable encode end enroll enter erase escalate exchange execute \
    export extend file finish flag forward freeze fulfil fulfill generate give grant handle hire \
    hold import increase initiate insert install invite invoke issue join kill launch leave link \
    lock log mail make manage mark merge message modify move mute notify offboard onboard open \
    operate order patch pause pay perform pin place plan post prepare print process produce promote \
    provision publish purchase purge push put raise rate reactivate reassign reboot recharge record \
    redeem refund refuse register reject release remove rename renew reopen reorder replace reply \
    request reschedule reserve reset restart restore resume retry return revert revoke rollback \
    rotate run save schedule scale sell send set settle share ship shutdown sign skip snooze \
    split start stop store submit subscribe suspend swap switch sync tag terminate text ticket \
    toggle trade train transfer trigger trim unassign unblock undo unfreeze uninstall unlink unlock \
    unsubscribe untag update upgrade upload upsert use void vote waive wipe wire withdraw work write ";

/// Verbs after which the world is another, whatever the tool is for.
const CHANGES: &str = " add approve assign ban block book buy cancel change charge close debit delete \
    deposit destroy disable drop edit erase grant insert modify pay purchase purge reassign redeem \
    refund register reject remove rename replace reset restart revoke sell send set store submit \
    subscribe suspend terminate transfer unsubscribe update upload upsert wipe wire withdraw write ";

/// Verbs that are nouns as well, as in `order_status`.
const NOUNS_TOO: &str = " audit balance book call charge comment copy credit debit deposit draft \
    email end exchange file flag hold issue link log mail message order plan post print process \
    query quote rate record refund report request return review schedule score share ship store \
    tag test text ticket trade transfer wire work ";

/// What such a noun is followed by where nothing is done.
const LOOKED_AT: &str = " amount availability balance count data detail details eligibility history \
    id info information list lookup number policy price report result results search state status \
    summary total type ";

/// Verbs that say nothing by themselves.
const VAGUE_VERBS: &str = " do execute handle invoke make manage operate perform process run trigger \
    use work ";
const VAGUE_OBJECTS: &str = " action actions all anything command commands data everything function \
    info information input inputs it job misc object objects operation operations output payload \
    request requests result something stuff task tasks thing things tool util work ";
/// Verbs that begin what the noun after them names, as `process` does in `process_refund`.
const CARRIES_OUT: &str = " confirm create do execute handle initiate issue make manage perform place \
    post process run send start submit trigger ";

const PLACEHOLDERS: &str = " api action bar baz demo dummy example endpoint foo func function helper \
    method misc my new placeholder sample temp test tmp tool untitled util utility utils ";

const GRAVEST: &str = " buy charge delete destroy drop erase pay payment payout purchase purge refund \
    sell terminate termination trade transfer wipe wire withdraw withdrawal deletion ";
const HIGH: &str = " approve ban block cancel cancellation chargeback close closure credit deactivate \
    debit disable freeze grant kill remove revoke shutdown suspend void waive ";
/// What is easily put back, or not the world's: nobody has to be asked.
const SMALL: &str = " alert basket bookmark call cart chat comment conversation draft favorite \
    favourite filter human item label note notification person reminder session tag wishlist agent ";

/// Words that mean the same to a model that chooses.
const ALIKE: &[&str] = &[
    " fetch find get load look lookup read retrieve show view describe ",
    " add create insert make new register ",
    " change edit modify patch set update ",
    " delete destroy drop erase purge remove ",
    " send dispatch deliver post ",
    " search query browse ",
];

fn is_in(list: &str, word: &str) -> bool {
    let spaced = format!(" {word} ");
    list.contains(&spaced)
}

/// `getOrderByID2`, `get_order-by.id2` → get, order, by, id, 2.
pub(super) fn of_name(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let chars: Vec<char> = name.chars().collect();
    let mut word = String::new();
    for (at, &char) in chars.iter().enumerate() {
        let before = at.checked_sub(1).map(|at| chars[at]);
        let after = chars.get(at + 1);
        let capital = char.is_uppercase()
            && before.is_some_and(|before| {
                !before.is_uppercase() || after.is_some_and(|after| after.is_lowercase())
            });
        let number = before.is_some_and(|before| before.is_numeric() != char.is_numeric());
        if (capital || number || !char.is_alphanumeric()) && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if char.is_alphanumeric() {
            word.extend(char.to_lowercase());
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// The words of a text in lower case.
pub(super) fn of_text(text: &str) -> Vec<String> {
    let words = text.split(|char: char| !char.is_alphanumeric() && char != '\'');
    words.filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
}

/// `orders` and `Order` are one word, and so are `categories` and `category`.
pub(super) fn stem(word: &str) -> String {
    match word {
        _ if word.len() > 4 && word.ends_with("ies") => format!("{}y", &word[..word.len() - 3]),
        _ if ["ches", "shes", "sses", "xes"].iter().any(|end| word.ends_with(end)) => {
            word[..word.len() - 2].to_owned()
        }
        _ if word.len() > 3 && word.ends_with('s') && !word.ends_with("ss") => {
            word[..word.len() - 1].to_owned()
        }
        _ => word.to_owned(),
    }
}

pub(super) fn is_verb(word: &str) -> bool {
    is_in(READS, word) || is_in(WRITES, word)
}

pub(super) fn is_vague_verb(word: &str) -> bool {
    is_in(VAGUE_VERBS, word)
}

pub(super) fn is_noun_too(word: &str) -> bool {
    is_in(NOUNS_TOO, word)
}

pub(super) fn is_vague_object(word: &str) -> bool {
    is_in(VAGUE_OBJECTS, word)
}

pub(super) fn is_placeholder(word: &str) -> bool {
    is_in(PLACEHOLDERS, word) || word.chars().all(char::is_numeric)
}

/// Where the verb stands: at the beginning, or else where no noun can be meant.
pub(super) fn verb_at(words: &[String]) -> Option<usize> {
    let surely = |word: &String| is_verb(word) && !is_in(NOUNS_TOO, word);
    match words.first() {
        Some(first) if is_verb(first) => Some(0),
        _ => words.iter().position(surely),
    }
}

/// `order_status` orders nothing: its verb is a noun here.
fn is_looked_at(words: &[String], at: usize) -> bool {
    let last = words.last().map_or("", String::as_str);
    is_in(NOUNS_TOO, &words[at]) && at + 1 < words.len() && is_in(LOOKED_AT, last)
}

pub(super) fn nature(words: &[String]) -> Nature {
    let Some(at) = verb_at(words) else { return Nature::Unknown };
    if is_in(READS, &words[at]) || is_looked_at(words, at) {
        return Nature::Reads;
    }
    let says_nothing = is_vague_verb(&words[at]) && impact(words) == Impact::Usual;
    match words.len() {
        1 if is_in(NOUNS_TOO, &words[at]) => Nature::Unknown,
        _ if says_nothing => Nature::Unknown,
        _ => Nature::Writes,
    }
}

/// Whether a name says beyond doubt that it changes something.
pub(super) fn surely_changes(words: &[String]) -> bool {
    let changes = |at: usize| is_in(CHANGES, &words[at]) && !is_looked_at(words, at);
    nature(words) == Nature::Writes
        && (verb_at(words).is_some_and(changes) || impact(words) == Impact::Gravest)
}

/// Of a single word: `deletes` as `delete`.
pub(super) fn nature_of_word(word: &str) -> Nature {
    let plain =
        [word, word.strip_suffix('s').unwrap_or(word), word.strip_suffix("es").unwrap_or(word)];
    let any = |list| plain.iter().any(|word| is_in(list, word));
    match (any(READS), any(WRITES) && !any(VAGUE_VERBS)) {
        (true, _) => Nature::Reads,
        (false, true) => Nature::Writes,
        (false, false) => Nature::Unknown,
    }
}

/// How grave what the name says is: by its verb, or by the noun that an empty verb carries out.
pub(super) fn impact(words: &[String]) -> Impact {
    // A noun will do here, as in `customer_refund`: whoever asks knows that the tool acts.
    let verb = verb_at(words).or_else(|| words.iter().position(|word| is_verb(word)));
    let Some(at) = verb else { return Impact::Usual };
    let rest = &words[at + 1..];
    let small = rest.iter().any(|word| is_in(SMALL, &stem(word)));
    if small || is_looked_at(words, at) || is_in(READS, &words[at]) {
        return Impact::Usual;
    }
    let carried = rest
        .iter()
        .rev()
        .find(|word| *word != "request")
        .filter(|_| is_in(CARRIES_OUT, &words[at]));
    let word = carried.map_or_else(|| words[at].clone(), |word| stem(word));
    let account = rest.iter().any(|word| stem(word) == "account");
    match () {
        () if is_in(GRAVEST, &word) => Impact::Gravest,
        () if is_in(HIGH, &word) && account => Impact::Gravest,
        () if is_in(HIGH, &word) => Impact::High,
        () => Impact::Usual,
    }
}

/// The name as a model that chooses reads it: the order of its words, the number of a noun and
/// which of several verbs of one meaning it is make no difference.
pub(super) fn meaning(words: &[String]) -> Vec<String> {
    let same = |word: &String| {
        let group = ALIKE.iter().find(|group| is_in(group, word));
        group.map_or_else(|| stem(word), |group| (*group).to_owned())
    };
    let filler = |word: &&String| !is_in(" a an the by of for to from in on with my ", word);
    let mut words: Vec<String> = words.iter().filter(filler).map(same).collect();
    words.sort();
    words.dedup();
    words
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "a test's literal")]
    fn check(names: &[&str], wanted: Expect) {
        let line = |name: &&str| {
            let words = of_name(name);
            format!("{}: {:?}, {:?}\n", words.join(" "), nature(&words), impact(&words))
        };
        wanted.assert_eq(&names.iter().map(line).collect::<String>());
    }

    #[test]
    fn a_name_says_whether_it_looks_or_acts_and_how_gravely() {
        check(
            &[
                "getOrderByID2",
                "refund-order",
                "refund_status",
                "process_refund",
                "processRefundRequest",
                "request_refund_approval",
                "order",
                "close_account",
                "close_ticket",
                "transfer_to_agent",
                "remove_item_from_cart",
                "create_payment_link",
                "admin_delete_user",
                "customer360",
                "initiate_return",
            ],
            expect![[r"
                get order by id 2: Reads, Usual
                refund order: Writes, Gravest
                refund status: Reads, Usual
                process refund: Writes, Gravest
                process refund request: Writes, Gravest
                request refund approval: Writes, Usual
                order: Unknown, Usual
                close account: Writes, Gravest
                close ticket: Writes, High
                transfer to agent: Writes, Usual
                remove item from cart: Writes, Usual
                create payment link: Writes, Usual
                admin delete user: Writes, Gravest
                customer 360: Unknown, Usual
                initiate return: Writes, Usual
            "]],
        );
    }

    #[test]
    fn names_of_one_meaning_are_one_whatever_verb_and_number_they_use() {
        let meaning_of = |name| meaning(&of_name(name));
        assert_eq!(meaning_of("get_order"), meaning_of("fetchOrders"));
        assert_eq!(meaning_of("order_lookup"), meaning_of("get_the_order"));
        assert_ne!(meaning_of("get_order"), meaning_of("list_orders"));
        assert_ne!(meaning_of("get_order"), meaning_of("get_order_status"));
    }
}
