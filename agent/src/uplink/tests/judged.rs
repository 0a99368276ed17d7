//! Nothing but this collector's signed answer to this very request is believed.

use super::*;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mimamori_shared::frame::Frame;
use mimamori_shared::id::{AgentId, ChainId, CollectorId, Lease, TokenId};
use mimamori_shared::payload::{Certificate, EnrolState, Enrolled, ErasedSerialize, Layer, Receipt, ReceiptStatus, Refusal, RefusalReason, encode};
use mimamori_shared::sign::{PayloadType, SecretKey};
use mimamori_shared::token::Token;
use mimamori_shared::word::Word;
use proptest::prelude::*;
use zeroize::Zeroizing;

const COLLECTOR: CollectorId = CollectorId([1; 16]);
const AGENT: AgentId = AgentId([2; 16]);
const CHAIN: ChainId = ChainId([3; 16]);

fn key(byte: u8) -> SecretKey {
    SecretKey::from_seed(&Zeroizing::new([byte; 32]))
}

fn frame(kind: PayloadType, content: &dyn ErasedSerialize, signer: &SecretKey) -> Vec<u8> {
    let payload = encode(kind, &[content]);
    Frame { key_id: signer.public().id(), signature: signer.sign(kind, &payload), payload }.to_lines()
}

/// Root key 9 certifies key 8.
fn certificate(issued_at_ms: i64) -> Certificate {
    let public = key(8).public();
    Certificate { collector_id: COLLECTOR, key_id: public.id(), public_key: STANDARD.encode(public.to_bytes()), issued_at_ms }
}

fn certified(certificate: &Certificate) -> Vec<u8> {
    frame(PayloadType::Certificate, certificate, &key(9))
}

fn receipt() -> Receipt {
    Receipt {
        collector_id: COLLECTOR,
        agent_id: AGENT,
        chain_id: CHAIN,
        branch: 0,
        seq: 7,
        head_hash: Hash([7; 32]),
        received_at_ms: 1,
        lease: Lease([4; 16]),
        status: ReceiptStatus::Ok,
    }
}

fn refusal() -> Refusal {
    let reason = RefusalReason::Behind { next_seq: 3, head_hash: Hash([5; 32]) };
    Refusal { collector_id: COLLECTOR, agent_id: AGENT, chain_id: CHAIN, in_reply_to: Hash([6; 32]), reason }
}

fn sent() -> Sent {
    let frame = |seq, last_seq, byte| SentFrame { seq, last_seq, tip_hash: Hash([byte; 32]) };
    Sent { chain_id: CHAIN, first_hash: Hash([6; 32]), frames: vec![frame(4, 6, 6), frame(7, 7, 7)] }
}

fn trust() -> Trust {
    let certificate = Signer::of(&certificate(1000)).unwrap();
    Trust { collector_id: COLLECTOR, agent_id: AGENT, root: key(9).public(), certificate: Some(certificate) }
}

fn answer(status: u16, body: Vec<u8>) -> Answer {
    Answer { status, content_type: ANSWER_TYPE.into(), retry_after_s: Some(9), body }
}

fn receipted(content: &Receipt) -> Vec<u8> {
    [frame(PayloadType::Receipt, content, &key(8)), certified(&certificate(1000))].concat()
}

fn refused(content: &Refusal) -> Vec<u8> {
    [frame(PayloadType::Refusal, content, &key(8)), certified(&certificate(1000))].concat()
}

#[track_caller]
fn failed(answer: &Answer, detail: Detail) {
    let mut after = trust();
    let outcome = judge(answer, &mut after, &sent());
    assert_eq!(outcome, Outcome::Failed(PushError::new(detail), Some(9)));
    assert_eq!(after, trust(), "a failed push changes nothing");
}

#[test]
fn what_is_ours_is_accepted_whatever_the_status_of_the_two() {
    for status in [200, 409] {
        assert_eq!(judge(&answer(status, receipted(&receipt())), &mut trust(), &sent()), Outcome::Receipted(receipt()));
        assert_eq!(judge(&answer(status, refused(&refusal())), &mut trust(), &sent()), Outcome::Refused(refusal()));
    }
    // Any frame of the request, a loss record's last place too.
    let earlier = Receipt { seq: 6, head_hash: Hash([6; 32]), status: ReceiptStatus::Forked, ..receipt() };
    assert_eq!(judge(&answer(200, receipted(&earlier)), &mut trust(), &sent()), Outcome::Receipted(earlier));
}

#[test]
fn a_newer_certificate_is_remembered_and_an_older_one_refused() {
    let body = |issued| [frame(PayloadType::Receipt, &receipt(), &key(8)), certified(&certificate(issued))].concat();
    let mut trust = Trust { certificate: None, ..trust() };
    assert!(matches!(judge(&answer(200, body(2000)), &mut trust, &sent()), Outcome::Receipted(_)));
    assert_eq!(trust.certificate, Some(Signer::of(&certificate(2000)).unwrap()));
    assert!(matches!(judge(&answer(200, body(2000)), &mut trust, &sent()), Outcome::Receipted(_)));
    let outcome = judge(&answer(200, body(1999)), &mut trust, &sent());
    assert_eq!(outcome, Outcome::Failed(Detail::OldCertificate.into(), Some(9)));
    let rival = Signer { issued_at_ms: 2000, key: key(7).public() };
    let outcome = judge(&answer(200, body(2000)), &mut Trust { certificate: Some(rival), ..trust }, &sent());
    assert_eq!(outcome, Outcome::Failed(Detail::OldCertificate.into(), Some(9)));
}

#[test]
fn receipts_that_are_not_for_this_request_are_refused() {
    for (content, detail) in [
        (Receipt { collector_id: CollectorId([9; 16]), ..receipt() }, Detail::OtherCollector),
        (Receipt { agent_id: AgentId([9; 16]), ..receipt() }, Detail::OtherAgent),
        (Receipt { chain_id: ChainId([9; 16]), ..receipt() }, Detail::OtherChain),
        (Receipt { seq: 3, head_hash: Hash([3; 32]), ..receipt() }, Detail::NotSent),
        (Receipt { seq: 8, ..receipt() }, Detail::NotSent),
        (Receipt { seq: 4, head_hash: Hash([6; 32]), ..receipt() }, Detail::NotSent),
        (Receipt { head_hash: Hash([9; 32]), ..receipt() }, Detail::NotSent),
        (Receipt { seq: u64::MAX, ..receipt() }, Detail::NotSent),
    ] {
        failed(&answer(200, receipted(&content)), detail);
    }
    for (content, detail) in [
        (Refusal { collector_id: CollectorId([9; 16]), ..refusal() }, Detail::OtherCollector),
        (Refusal { agent_id: AgentId([9; 16]), ..refusal() }, Detail::OtherAgent),
        (Refusal { chain_id: ChainId([9; 16]), ..refusal() }, Detail::OtherChain),
        (Refusal { in_reply_to: Hash([9; 32]), ..refusal() }, Detail::OtherRequest),
    ] {
        failed(&answer(409, refused(&content)), detail);
    }
}

#[test]
fn signatures_that_do_not_lead_back_to_the_root_are_refused() {
    let good = frame(PayloadType::Receipt, &receipt(), &key(8));
    let other_root = frame(PayloadType::Certificate, &certificate(1000), &key(7));
    failed(&answer(200, [good.clone(), other_root].concat()), Detail::WrongRoot);
    let other_signer = frame(PayloadType::Receipt, &receipt(), &key(7));
    failed(&answer(200, [other_signer, certified(&certificate(1000))].concat()), Detail::BadSignature);
    // The root signs certificates and nothing else.
    let by_root = frame(PayloadType::Receipt, &receipt(), &key(9));
    failed(&answer(200, [by_root.clone(), certified(&certificate(1000))].concat()), Detail::BadSignature);
    failed(&answer(200, [good.clone(), by_root].concat()), Detail::WrongType);
    let foreign = Certificate { collector_id: CollectorId([9; 16]), ..certificate(1000) };
    failed(&answer(200, [good.clone(), certified(&foreign)].concat()), Detail::OtherCollector);
    let misnamed = Certificate { key_id: key(7).public().id(), ..certificate(1000) };
    failed(&answer(200, [good.clone(), certified(&misnamed)].concat()), Detail::Malformed);
    let weak = Certificate { public_key: STANDARD.encode([0; 32]), ..certificate(1000) };
    failed(&answer(200, [good, certified(&weak)].concat()), Detail::Malformed);
    let report = frame(PayloadType::Report, &receipt(), &key(8));
    failed(&answer(200, [report, certified(&certificate(1000))].concat()), Detail::WrongType);
    let unlike = frame(PayloadType::Receipt, &refusal(), &key(8));
    failed(&answer(200, [unlike, certified(&certificate(1000))].concat()), Detail::Malformed);
}

#[test]
fn portals_and_unsigned_answers_change_nothing() {
    let page = b"<html>Please log in</html>".to_vec();
    let html = |status| Answer { content_type: "text/html".into(), ..answer(status, page.clone()) };
    failed(&html(200), Detail::Portal);
    failed(&html(409), Detail::Status(409));
    failed(&answer(200, page.clone()), Detail::Malformed);
    failed(&answer(409, page.clone()), Detail::Malformed);
    failed(&answer(409, Vec::new()), Detail::Malformed);
    for status in [201, 204, 206] {
        failed(&answer(status, receipted(&receipt())), Detail::Portal);
    }
    failed(&answer(204, Vec::new()), Detail::Portal);
    failed(&answer(302, receipted(&receipt())), Detail::Redirected(302));
    for status in [400, 401, 403, 413, 421, 500, 503] {
        failed(&answer(status, receipted(&receipt())), Detail::Status(status));
    }
    assert_eq!(PushError::new(Detail::Malformed).layer, Layer::Receipt);
    assert_eq!(PushError::new(Detail::Portal).layer, Layer::Http);
}

#[test]
fn a_preview_alone_is_taken_by_an_empty_204_only() {
    let alone = Sent { frames: Vec::new(), ..sent() };
    assert_eq!(judge(&answer(204, Vec::new()), &mut trust(), &alone), Outcome::PreviewTaken);
    assert!(matches!(judge(&answer(204, b"x".to_vec()), &mut trust(), &alone), Outcome::Failed(..)));
    assert!(matches!(judge(&answer(200, receipted(&receipt())), &mut trust(), &alone), Outcome::Failed(..)));
    assert_eq!(judge(&answer(409, refused(&refusal())), &mut trust(), &alone), Outcome::Refused(refusal()));
}

/// Every single flip, every cut and what is put behind.
#[track_caller]
fn none_passes(good: &[u8], accepted: impl Fn(Vec<u8>) -> bool) {
    assert!(accepted(good.to_vec()));
    for bit in 0..good.len() * 8 {
        let mut bad = good.to_vec();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(!accepted(bad), "bit {bit}");
    }
    for length in 0..good.len() {
        assert!(!accepted(good[..length].to_vec()), "cut at {length}");
    }
    for more in [&b"\n"[..], b" ", b"\0", b"x\ny\n", good] {
        assert!(!accepted([good, more].concat()), "{more:?} behind");
        assert!(!accepted([more, good].concat()), "{more:?} before");
    }
}

#[test]
fn no_bit_of_an_answer_is_free() {
    let accepted = |status, body| !matches!(judge(&answer(status, body), &mut trust(), &sent()), Outcome::Failed(..));
    none_passes(&receipted(&receipt()), |body| accepted(200, body));
    none_passes(&refused(&refusal()), |body| accepted(409, body));
}

fn token() -> Token {
    Token {
        id: TokenId([5; 8]),
        seed: Zeroizing::new([5; 32]),
        url: "https://rsc.example".into(),
        collector_id: COLLECTOR,
        root_key: key(9).public().to_bytes(),
        ca_pin: Hash::ZERO,
        recipient: "age1".into(),
    }
}

fn enrolled() -> Enrolled {
    Enrolled {
        collector_id: COLLECTOR,
        agent_id: AGENT,
        key_id: key(4).public().id(),
        token_id: TokenId([5; 8]),
        facility: Word::default(),
        machine: Word::default(),
        state: EnrolState::Pending,
        enrolled_at_ms: 1,
    }
}

fn identity(content: &Enrolled) -> Vec<u8> {
    [frame(PayloadType::Enrolled, content, &key(8)), certified(&certificate(1000))].concat()
}

#[test]
fn identities_are_for_this_token_and_this_key_alone() {
    let judged = |status, body| judge_enrolled(&answer(status, body), &token(), &key(4).public());
    assert_eq!(judged(200, identity(&enrolled())), Ok((enrolled(), certificate(1000))));
    for (content, detail) in [
        (Enrolled { collector_id: CollectorId([9; 16]), ..enrolled() }, Detail::OtherCollector),
        (Enrolled { token_id: TokenId([9; 8]), ..enrolled() }, Detail::OtherToken),
        (Enrolled { key_id: key(3).public().id(), ..enrolled() }, Detail::OtherKey),
    ] {
        assert_eq!(judged(200, identity(&content)), Err(detail.into()));
    }
    assert_eq!(judged(403, Vec::new()), Err(Detail::Status(403).into()));
    assert_eq!(judged(409, identity(&enrolled())), Err(Detail::Status(409).into()));
    assert_eq!(judged(200, receipted(&receipt())), Err(Detail::WrongType.into()));
    let other = Token { root_key: key(7).public().to_bytes(), ..token() };
    assert_eq!(judge_enrolled(&answer(200, identity(&enrolled())), &other, &key(4).public()), Err(Detail::WrongRoot.into()));
    none_passes(&identity(&enrolled()), |body| judged(200, body).is_ok());
}

proptest! {
    #[test]
    fn property_no_body_panics_and_none_is_believed(
        status in prop_oneof![Just(200_u16), Just(409), any::<u16>()],
        body in proptest::collection::vec(any::<u8>(), 0..600),
    ) {
        let answer = answer(status, body);
        let outcome = judge(&answer, &mut trust(), &sent());
        prop_assert!(matches!(outcome, Outcome::Failed(..)));
        prop_assert!(judge_enrolled(&answer, &token(), &key(4).public()).is_err());
    }

    #[test]
    fn property_no_splice_of_good_answers_is_believed(cut in 0_usize..1200, paste in 0_usize..1200) {
        let (one, two) = (receipted(&receipt()), refused(&Refusal { in_reply_to: Hash([9; 32]), ..refusal() }));
        let (cut, paste) = (cut % one.len(), paste % two.len());
        let body = [&one[..cut], &two[paste..]].concat();
        let genuine = body == one;
        let outcome = judge(&answer(200, body), &mut trust(), &sent());
        prop_assert_eq!(matches!(outcome, Outcome::Failed(..)), !genuine);
    }
}
