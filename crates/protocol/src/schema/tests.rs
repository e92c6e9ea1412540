use bytes::Bytes;
use kafka_protocol::messages::{
    ApiKey, ApiVersionsResponse, MetadataResponse, OffsetCommitResponse,
};

use super::*;

const METADATA: i16 = 3;
const API_VERSIONS: i16 = 18;

fn hex(text: &str) -> Bytes {
    let digits: Vec<u8> = text
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn refused(version: i16, body: &str) -> String {
    let error = check(METADATA, version, Kind::Response, &hex(body)).unwrap_err();
    assert_eq!(error.code(), ErrorCode::PROTOCOL);
    error.message().to_owned()
}

/// Metadata response v9 up to the topics: no throttling, no brokers, cluster id null, controller 1.
const UP_TO_TOPICS: &str = "00000000 01 00 00000001";

#[test]
fn errors_name_the_message_the_field_and_the_numbers() {
    // Two topics; the second one's name claims 99 bytes.
    let topics = "03  0000 02 61 00 01 80000000 00  0000 64 62 00 01 80000000 00";
    assert_eq!(
        refused(9, &format!("{UP_TO_TOPICS} {topics}")),
        "Metadata response v9 of 33 bytes: Topics[1].Name: a string of 99 bytes, but only 8 bytes are left"
    );
    // A null array of partitions in the first.
    let topics = "02 0000 02 61 00 00 80000000 00";
    assert_eq!(
        refused(9, &format!("{UP_TO_TOPICS} {topics} 80000000 00")),
        "Metadata response v9 of 27 bytes: Topics[0].Partitions: an array that is null, which this version does not \
         allow"
    );
    assert_eq!(
        refused(0, "fffffffe"),
        "Metadata response v0 of 4 bytes: Brokers: a negative length of -2"
    );
    assert_eq!(
        refused(9, &format!("{UP_TO_TOPICS} ffffffff7f")),
        "Metadata response v9 of 15 bytes: Topics: a varint of more than 32 bits"
    );
    assert_eq!(
        refused(9, &format!("{UP_TO_TOPICS} 01 80000000 05")),
        "Metadata response v9 of 16 bytes: 5 tagged fields, but only 0 bytes are left"
    );
}

fn compact_count(n: usize) -> [u8; 3] {
    [
        (n + 1) as u8 | 0x80,
        ((n + 1) >> 7) as u8 | 0x80,
        ((n + 1) >> 14) as u8,
    ]
}

#[test]
fn unknown_tagged_fields_are_accepted_in_reason() {
    const PARTITIONS: usize = 20_000;
    // OffsetCommit: a topic "t" of many partitions, each with one small tagged field that is not known today.
    let partitions = hex("00000001 0000 01 00 01 ff").repeat(PARTITIONS);
    let body = [
        &hex("00000000 02 02 74")[..],
        &compact_count(PARTITIONS),
        &partitions,
        &[0, 0],
    ]
    .concat();
    let message: OffsetCommitResponse = decode_response(8, 8, body.into()).unwrap();
    assert_eq!(
        message.topics[0].partitions[PARTITIONS - 1]
            .unknown_tagged_fields
            .len(),
        1
    );
    // JoinGroup: many members of nothing but an empty tagged field.
    let members = hex("01 00 01 01 09 00").repeat(PARTITIONS);
    let start = hex("00000000 0000 00000000 00 00 01 00 01");
    let body = [&start[..], &compact_count(PARTITIONS), &members, &[0]].concat();
    let error = check(11, 9, Kind::Response, &body).unwrap_err();
    assert!(
        error
            .message()
            .contains("more unknown tagged fields than a message of this length"),
        "{error}"
    );
}

#[test]
fn a_known_tagged_field_fills_its_size_exactly() {
    // ApiVersions response v3: no error, no keys, no throttling; tag 1 (FinalizedFeaturesEpoch) is 8 bytes.
    let good = "0000 01 00000000 01 01 08 0000000000000007";
    let message: ApiVersionsResponse = decode_response(API_VERSIONS, 3, hex(good)).unwrap();
    assert_eq!(message.finalized_features_epoch, 7);
    let error = check(
        API_VERSIONS,
        3,
        Kind::Response,
        &hex(&good.replace("08 0000", "09 000000")),
    )
    .unwrap_err();
    assert!(
        error
            .message()
            .contains("FinalizedFeaturesEpoch: 1 of its 9 bytes are not part of it"),
        "{error}"
    );
    let error = check(
        API_VERSIONS,
        3,
        Kind::Response,
        &hex(&good.replace("08 0000", "07 00")),
    )
    .unwrap_err();
    assert!(
        error
            .message()
            .contains("a value of 8 bytes, but only 7 bytes are left"),
        "{error}"
    );
}

#[test]
fn what_is_not_utf8_is_an_error_with_the_messages_name() {
    let topics = "02 0000 02 ff 00 01 80000000 00";
    let body = hex(&format!("{UP_TO_TOPICS} {topics} 80000000 00"));
    let error = decode_response::<MetadataResponse>(METADATA, 9, body).unwrap_err();
    assert_eq!(error.code(), ErrorCode::PROTOCOL);
    assert!(
        error
            .message()
            .starts_with("Metadata response v9 of 27 bytes: "),
        "{error}"
    );
}

#[test]
fn unknown_apis_and_versions_are_unsupported() {
    for (key, version) in [
        (-1, 0),
        (999, 0),
        (METADATA, -1),
        (METADATA, 14),
        (METADATA, i16::MAX),
    ] {
        let error = check(key, version, Kind::Request, &[]).unwrap_err();
        assert_eq!(error.code(), ErrorCode::UNSUPPORTED, "{error}");
    }
    assert_eq!(
        (api_name(METADATA), api_name(999)),
        ("Metadata", "unknown API")
    );
}

#[test]
fn header_versions_agree_with_kafka_protocol() {
    for api in ApiKey::iter() {
        let versions = api.valid_versions();
        for version in versions.min..=versions.max {
            let key = api as i16;
            assert_eq!(
                request_header_version(key, version).unwrap(),
                api.request_header_version(version),
                "{api:?}"
            );
            assert_eq!(
                response_header_version(key, version).unwrap(),
                api.response_header_version(version),
                "{api:?}"
            );
        }
    }
    assert_eq!(response_header_version(API_VERSIONS, 4).unwrap(), 0);
}

#[test]
fn request_headers_are_read() {
    // Metadata v9, correlation 7, client "me", one unknown tagged field, then the body.
    let frame = hex("0003 0009 00000007 0002 6d65 01 05 01 ff aabb");
    let header = check_request_header(&frame).unwrap();
    let expected = RequestHeader {
        api_key: 3,
        version: 9,
        correlation_id: 7,
        client_id: Some("me"),
        body: frame.len() - 2,
    };
    assert_eq!(header, expected);
    let anonymous = hex("0003 0001 00000007 ffff");
    let header = check_request_header(&anonymous).unwrap();
    assert_eq!((header.client_id, header.body), (None, 10));
    for len in 0..frame.len() - 2 {
        assert_eq!(
            check_request_header(&frame[..len]).unwrap_err().code(),
            ErrorCode::PROTOCOL,
            "{len}"
        );
    }
    let error = check_request_header(&hex("03e7 0001 00000007 ffff")).unwrap_err();
    assert_eq!(error.code(), ErrorCode::UNSUPPORTED);
}

#[test]
fn response_headers_are_read() {
    let expected = |body| ResponseHeader {
        correlation_id: 7,
        body,
    };
    assert_eq!(
        check_response_header(METADATA, 8, &hex("00000007 00")).unwrap(),
        expected(4)
    );
    assert_eq!(
        check_response_header(METADATA, 9, &hex("00000007 00")).unwrap(),
        expected(5)
    );
    assert_eq!(
        check_response_header(API_VERSIONS, 3, &hex("00000007 00")).unwrap(),
        expected(4)
    );
    let error = check_response_header(METADATA, 9, &hex("00000007")).unwrap_err();
    assert!(
        error
            .message()
            .starts_with("header of a Metadata response v9 in a frame of 4 bytes"),
        "{error}"
    );
}

#[test]
fn subscriptions_and_assignments_of_any_age_are_read() {
    // Version 1: topic "t", no user data, no owned partitions; the same from a version 99 with more after it.
    let body = "00000001 0001 74 ffffffff 00000000";
    assert_eq!(
        decode_subscription(hex(&format!("0001 {body}")))
            .unwrap()
            .topics
            .len(),
        1
    );
    let newer =
        decode_subscription(hex(&format!("0063 {body} 00000005 0001 72 0badcafe"))).unwrap();
    assert_eq!(
        (newer.generation_id, newer.rack_id.as_deref()),
        (5, Some("r"))
    );
    let assignment = decode_assignment(hex(
        "0000 00000001 0001 74 00000002 00000000 00000001 ffffffff",
    ))
    .unwrap();
    assert_eq!(assignment.assigned_partitions[0].partitions, [0, 1]);
    for broken in [
        "",
        "00",
        "ffff",
        "0000 7fffffff",
        "0000 00000001 0001 74 7fffffff",
    ] {
        assert_eq!(
            decode_subscription(hex(broken)).unwrap_err().code(),
            ErrorCode::PROTOCOL,
            "{broken}"
        );
        assert_eq!(
            decode_assignment(hex(broken)).unwrap_err().code(),
            ErrorCode::PROTOCOL,
            "{broken}"
        );
    }
}
