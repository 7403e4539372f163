use jiff::civil::{date, datetime};
use proptest::prelude::*;

use super::*;

/// The sample of unionpay.md §4.6; what is cut short there is filled up.
fn sample() -> TmsParameters {
    TmsParameters {
        platform: "18181818".into(),
        limit_date: Some(date(2018, 5, 31)),
        timing: "1001".into(),
        phones: ["15842665874".into(), "15842665874".into()],
        hosts: ["192.168.28.169:32091".into(), "192.168.28.169:32091".into()],
        task: TmsTask::Current(Box::new(CurrentTask {
            content: Content::CardApplication("100000".into()),
            code: "7001".into(),
            gprs: "CMNET|tms|tms|127.0.0.1|10001".into(),
            cdma: "tms@chinaunipay|tms|127.0.0.1|10001".into(),
            check_code: "12345678123456781234567812345678".into(),
            redial_s: 60,
            prompt: "downloadingtmsparams".into(),
            tpdu: "6066660000".into(),
            start: Some(datetime(2016, 5, 1, 0, 0, 0, 0)),
            end: Some(datetime(2018, 5, 31, 0, 0, 0, 0)),
        })),
    }
}

fn old() -> TmsParameters {
    TmsParameters {
        task: TmsTask::Old(Box::new(OldTask {
            file: "POSAPP.BIN".into(),
            application: "POSAPP".into(),
            at: Some(datetime(2018, 5, 31, 2, 30, 0, 0)),
        })),
        ..sample()
    }
}

fn with_task(change: impl FnOnce(&mut CurrentTask)) -> TmsParameters {
    let mut parameters = sample();
    let TmsTask::Current(task) = &mut parameters.task else {
        panic!("the sample is of the current interface")
    };
    change(task);
    parameters
}

#[test]
fn the_tagged_layout_has_388_bytes_each_tag_in_its_place() {
    let body = sample().encode(Layout::Tagged).unwrap();
    assert_eq!(body.len(), 388);
    let expected = [
        "2618181818".to_owned(),
        "2700".into(),
        "287001".into(),
        "2920180531".into(),
        "30100000".into(),
        "311001".into(),
        format!("32{:<20}", "15842665874"),
        format!("33{:<20}", "15842665874"),
        format!("34{:<30}", "192.168.28.169:32091"),
        format!("35{:<30}", "192.168.28.169:32091"),
        format!("36{:<60}", "CMNET|tms|tms|127.0.0.1|10001"),
        format!("37{:<60}", "tms@chinaunipay|tms|127.0.0.1|10001"),
        "3812345678123456781234567812345678".into(),
        "390060".into(),
        format!("40{:<30}", "downloadingtmsparams"),
        "416066660000".into(),
        "42160501000000".into(),
        "43180531000000".into(),
    ];
    assert_eq!(String::from_utf8(body.clone()).unwrap(), expected.concat());
    assert_eq!(TmsParameters::decode(Layout::Tagged, &body).unwrap(), sample());
}

#[test]
fn the_untagged_layout_is_the_same_without_its_18_tags() {
    let body = sample().encode(Layout::Untagged).unwrap();
    assert_eq!(body.len(), 388 - 18 * 2);
    assert_eq!(TmsParameters::decode(Layout::Untagged, &body).unwrap(), sample());
}

#[test]
fn the_old_layout_has_302_bytes() {
    let body = old().encode(Layout::Old).unwrap();
    assert_eq!(body.len(), 302);
    assert!(body.starts_with(b"26181818182702") && body.ends_with(b"3620180531023000"));
    assert_eq!(TmsParameters::decode(Layout::Old, &body).unwrap(), old());
}

#[test]
fn the_version_of_another_application_has_its_length_before_it() {
    let other = with_task(|task| task.content = Content::OtherApplication("2.1.0-beta".into()));
    let body = other.encode(Layout::Tagged).unwrap();
    assert_eq!(body.len(), 388 - 6 + 2 + 10);
    assert!(body.windows(16).any(|w| w == b"30102.1.0-beta31"));
    assert_eq!(TmsParameters::decode(Layout::Tagged, &body).unwrap(), other);
}

#[test]
fn the_longest_parameters_fit_the_smallest_room_that_a_profile_may_name() {
    let longest = with_task(|task| task.content = Content::OtherApplication("9".repeat(50)));
    let length = longest.encode(Layout::Tagged).unwrap().len();
    assert!(length <= usize::from(crate::emv::Forms::MIN_BODY_BYTES), "{length}");
}

#[test]
fn dates_of_blanks_or_zeros_are_none() {
    let none = with_task(|task| (task.start, task.end) = (None, None));
    let body = none.encode(Layout::Tagged).unwrap();
    let text = String::from_utf8(body).unwrap();
    let zeros = text.replace("42            43            ", "4200000000000043000000000000");
    assert_ne!(zeros, text);
    for body in [text, zeros] {
        assert_eq!(TmsParameters::decode(Layout::Tagged, body.as_bytes()).unwrap(), none);
    }
}

#[test]
fn the_wrong_layout_is_refused_and_says_where() {
    let tagged = sample().encode(Layout::Tagged).unwrap();
    for wrong in [Layout::Untagged, Layout::Old] {
        assert!(TmsParameters::decode(wrong, &tagged).is_err(), "{wrong:?}");
    }
    assert!(TmsParameters::decode(Layout::Tagged, &old().encode(Layout::Old).unwrap()).is_err());
    assert!(sample().encode(Layout::Old).is_err());
    assert!(old().encode(Layout::Tagged).is_err());

    let mut longer = tagged;
    longer.push(b' ');
    let error = TmsParameters::decode(Layout::Tagged, &longer).unwrap_err().to_string();
    assert!(error.contains("offset 388"), "{error}");
}

#[test]
fn a_value_too_long_for_its_tag_is_not_written() {
    let long = TmsParameters { platform: "123456789".into(), ..sample() };
    assert!(long.encode(Layout::Tagged).is_err());
    let far = with_task(|task| task.redial_s = 10_000);
    assert!(far.encode(Layout::Tagged).is_err());
    let next_century = with_task(|task| task.end = Some(datetime(2100, 1, 1, 0, 0, 0, 0)));
    assert!(next_century.encode(Layout::Tagged).is_err());
}

#[test]
fn debug_prints_no_access_password_and_no_check_code() {
    let text = format!("{:?}", sample());
    assert!(!text.contains("CMNET") && !text.contains("12345678123"), "{text}");
    assert!(text.contains("7001"), "{text}");
}

prop_compose! {
    fn any_parameters()(
        platform in "[!-~]{0,8}",
        days in proptest::option::of(0i64..40_000),
        version in "[0-9A-Za-z.]{0,6}",
        other in proptest::option::of("[0-9A-Za-z.]{0,50}"),
        host in "[0-9.:]{0,30}",
        gprs in "[!-~]{0,60}",
        redial_s in 0u16..10_000,
        prompt in "[下载参数]{0,15}",
        start in proptest::option::of(0i64..3_000_000_000),
    ) -> TmsParameters {
        let from = date(2000, 1, 1);
        let start = start.map(|s| from.to_datetime(Default::default()).checked_add(jiff::SignedDuration::from_secs(s)).unwrap());
        let content = other.map_or(Content::CardApplication(version), Content::OtherApplication);
        let mut parameters = with_task(|task| {
            *task = CurrentTask { content, gprs, redial_s, prompt, start, ..task.clone() };
        });
        parameters.platform = platform;
        parameters.limit_date = days.map(|d| from.checked_add(jiff::Span::new().days(d)).unwrap());
        parameters.hosts = [host.clone(), host];
        parameters
    }
}

proptest! {
    #[test]
    fn what_is_written_reads_back(parameters in any_parameters()) {
        for layout in [Layout::Tagged, Layout::Untagged] {
            let body = parameters.encode(layout).unwrap();
            prop_assert_eq!(&TmsParameters::decode(layout, &body).unwrap(), &parameters);
        }
        let json = serde_json::to_string(&parameters).unwrap();
        prop_assert_eq!(serde_json::from_str::<TmsParameters>(&json).unwrap(), parameters);
    }

    #[test]
    fn any_bytes_are_an_error_or_parameters_that_can_be_written(
        mut body in prop::collection::vec(any::<u8>(), 0..450),
        layout in prop::sample::select(vec![Layout::Tagged, Layout::Untagged, Layout::Old]),
    ) {
        let _ = TmsParameters::decode(layout, &body);
        let mut near = if layout == Layout::Old { old() } else { sample() }.encode(layout).unwrap();
        for (to, from) in near.iter_mut().zip(body.drain(..)).skip(40).step_by(37) {
            *to = from;
        }
        let _ = TmsParameters::decode(layout, &near);
    }
}
