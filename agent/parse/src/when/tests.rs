use super::*;
use proptest::prelude::*;

fn shown(text: &str, order: Order) -> Option<String> {
    When::read(text, order).map(When::shown)
}

#[test]
fn every_tools_way_to_write_a_moment_is_read() {
    for (text, expected) in [
        ("2022-07-07T07:37:10Z", "2022-07-07T07:37:10Z"),
        ("2022-07-07T07:37:10.123456+09:00", "2022-07-06T22:37:10Z"),
        ("2022-07-07T07:37:10", "2022-07-07T07:37:10"),
        ("2022-07-07 07:37:10Z", "2022-07-07T07:37:10Z"),
        ("2022-07-07", "2022-07-07"),
        ("/Date(1657179430000)/", "2022-07-07T07:37:10Z"),
        ("\\/Date(1657179430000+0900)\\/", "2022-07-07T07:37:10Z"),
        ("20220707073710.000000+540", "2022-07-06T22:37:10Z"),
        ("20220707073710.000000-300", "2022-07-07T12:37:10Z"),
        ("2022/07/07 7:37:10", "2022-07-07T07:37:10"),
        ("07.07.2022 07:37:10", "2022-07-07T07:37:10"),
        ("13.12.2016 11:55:00", "2016-12-13T11:55:00"),
        ("07-07-2022 19:37:10", "2022-07-07T19:37:10"),
        ("2022. 7. 7. 오후 7:37:10", "2022-07-07T19:37:10"),
        ("2022年7月7日 午前12:05:09", "2022-07-07T00:05:09"),
        ("2022年07月07日 07時37分10秒 に実施しました。", "2022-07-07T07:37:10"),
        ("令和4年7月7日 7:37", "2022-07-07T07:37:00"),
        ("Jul 06, 2022 at 01:57:03 PM", "2022-07-06T13:57:03"),
        ("Thu Jul  7 07:37:10 2022.", "2022-07-07T07:37:10"),
        ("Thu 07 Jul 2022 12:37:10 AM JST.", "2022-07-06T15:37:10Z"),
        ("Thu 07 Jul 2022 07:37:10 PM UTC.", "2022-07-07T19:37:10Z"),
        ("Thu 07 Jul 2022 07:37:10 PM EDT.", "2022-07-07T19:37:10"),
        ("Tue 25 Aug 2026 09:02:11 -03.", "2026-08-25T12:02:11Z"),
        ("Do 07 Dez 2023 07:37:10 CET.", "2023-12-07T07:37:10"),
        ("ago on Sat 16 Mar 2019 12:32:14 AM EDT.", "2019-03-16T00:32:14"),
        ("22 Jun 2021 16:55 -0400", "2021-06-22T20:55:00Z"),
        ("7/7/2022 7:37:10 p. m.", "2022-07-07T19:37:10"),
        ("20150515.001", "2015-05-15"),
        ("\u{200e}7/\u{200e}7/\u{200e}2022", "2022-07-07"),
    ] {
        assert_eq!(shown(text, Order::Unknown).as_deref(), Some(expected), "{text}");
    }
}

#[test]
fn day_and_month_are_told_apart_or_there_is_no_date() {
    for (text, order, expected) in [
        ("7/30/2013 3:01:45 AM", Order::Unknown, Some("2013-07-30T03:01:45")),
        ("30/07/2013 03:01:45", Order::MonthFirst, Some("2013-07-30T03:01:45")),
        ("7/8/2022 3:01:45", Order::Unknown, None),
        ("7/8/2022 3:01:45", Order::DayFirst, Some("2022-08-07T03:01:45")),
        ("7/8/2022 3:01:45", Order::MonthFirst, Some("2022-07-08T03:01:45")),
        ("09/18/15 rev. 1", Order::MonthFirst, Some("2015-09-18")),
    ] {
        assert_eq!(shown(text, order).as_deref(), expected, "{text}");
    }
    assert_eq!(order_of(["7/8/2022", "", "6/23/2022 2:29 AM"].into_iter()), Order::MonthFirst);
    assert_eq!(order_of(["7/8/2022", "23/6/2022"].into_iter()), Order::DayFirst);
    assert_eq!((order_of(["7/8/2022 7:00:00 AM"].into_iter()), order_of(["7/08/2022 7:00:00 AM"].into_iter())), (Order::MonthFirst, Order::DayFirst));
    assert_eq!(order_of(["07/08/2022 07:00:00"].into_iter()), Order::Unknown);
    assert_eq!(order_of(["23/6/2022", "6/23/2022"].into_iter()), Order::Unknown);
    assert_eq!(order_of(["2022/6/23", "6.23.2022", "x"].into_iter()), Order::Unknown);
}

#[test]
fn what_means_never_and_what_is_no_moment_is_none() {
    for text in [
        "",
        "never",
        "Never run",
        "unknown",
        "4294967295",
        "1/1/1601 9:00:00 AM",
        "0001-01-01T00:00:00",
        "1899-12-30T00:00:00",
        "1970-01-01 00:00:00",
        "9999-12-31T23:59:59Z",
        "/Date(-62135596800000)/",
        "/Date(0)/",
        "/Date(x)/",
        "16010101000000.000000+000",
        "2022-02-30",
        "2022-13-01",
        "2022-07-07 25:00:00",
        "2022-07-07 13:61",
        "7:37:10",
        "99999999999999999999/1/1",
        "mar. 07 juil. 2022 07:37:10 CEST",
        "1.369.923.0",
        "1.1.19300.2",
    ] {
        assert_eq!(When::read(text, Order::MonthFirst), None, "{text}");
    }
    assert_eq!((When::utc(0), When::utc(i64::MAX), When::utc(i64::MIN)), (None, None, None));
}

#[test]
fn a_moment_without_an_offset_is_bounded_and_not_taken_for_utc() {
    let at = |text: &str| time::parse(text).unwrap();
    let local = When::read("2022-07-07 07:37:10", Order::Unknown).unwrap();
    assert_eq!((local.moment(), local.earliest_ms(), local.latest_ms()), (None, at("2022-07-06T17:37:10Z"), at("2022-07-07T19:37:10Z")));
    let day = When::read("2022-07-07", Order::Unknown).unwrap();
    assert_eq!((day.earliest_ms(), day.latest_ms()), (at("2022-07-06T10:00:00Z"), at("2022-07-08T12:00:00Z")));
    let whole = When::read("2022-07-07T07:37:10+09:00", Order::Unknown).unwrap();
    assert_eq!((whole.moment(), whole.earliest_ms()), (Some(at("2022-07-06T22:37:10Z")), whole.latest_ms()));
    assert_eq!(serde_json::to_string(&[local, day]).unwrap(), r#"["2022-07-07T07:37:10","2022-07-07"]"#);
}

proptest! {
    #[test]
    fn any_text_is_taken(text in "(.|[0-9]{1,20}|[-/.:+ ]|Jul|PM|年|月|午後|Date\\(){0,24}") {
        for order in [Order::DayFirst, Order::MonthFirst, Order::Unknown] {
            if let Some(when) = When::read(&text, order) {
                prop_assert!(when.earliest_ms() <= when.latest_ms());
                prop_assert!(when.shown().starts_with(['1', '2']));
            }
        }
        prop_assert!(order_of([text.as_str()].into_iter()) == order_of([text.as_str(); 2].into_iter()));
    }

    #[test]
    fn every_moment_is_read_as_it_is_shown(ms in 631_152_000_000_i64..7_258_118_400_000) {
        let ms = ms / 1000 * 1000;
        prop_assert_eq!(When::read(&time::show(ms), Order::Unknown).and_then(When::moment), Some(ms));
    }
}
