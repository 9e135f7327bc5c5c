use crate::sync::request::{hex, uuid};
use crate::sync::state::{Model, State};
use crate::sync::{Encoding, OutboxOptions, request};

#[test]
fn the_resource_says_whose_it_is() {
    let options = OutboxOptions {
        app_version: Some("2.1".into()),
        attributes: vec![("region".into(), "eu".into())],
        ..OutboxOptions::new("field-notes")
    };
    let install: Vec<u8> = (0..16).collect();
    let model = Model {
        name: "rain".into(),
        version: Some("3".into()),
        digest: vec![0xab; 32],
        profile: vec![1],
        profile_digest: vec![0xcd; 32],
        backend: "tract".into(),
        ..Model::default()
    };
    let resource = request::resource(&options, &install, Some(&model));
    let get = |key| super::made::attribute(&resource.attributes, key).map(str::to_string);
    let id = "00010203-0405-4607-8809-0a0b0c0d0e0f";
    for (key, expected) in [
        ("service.name", "field-notes"),
        ("service.version", "2.1"),
        ("service.instance.id", id),
        ("app.installation.id", id),
        ("region", "eu"),
        ("selvedge.model.name", "rain"),
        ("selvedge.model.version", "3"),
        ("selvedge.model.digest", &"ab".repeat(32)),
        ("selvedge.backend", "tract"),
        ("selvedge.profile.digest", &"cd".repeat(32)),
    ] {
        assert_eq!(get(key).as_deref(), Some(expected), "{key}");
    }
}

#[test]
fn a_uuid_is_of_version_4() {
    let mut ids: Vec<String> = (0..100).map(|_| uuid(&State::fresh().unwrap().install)).collect();
    for id in &ids {
        assert_eq!((id.len(), &id[14..15]), (36, "4"), "{id}");
        assert!("89ab".contains(&id[19..20]), "{id}");
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 100);
}

#[test]
fn bodies_are_compressed_the_same_way_each_time() {
    use std::io::Read;
    let body: Vec<u8> = (0..10_000u32).map(|i| (i * i / 7) as u8 & 31).collect();
    for encoding in [Encoding::Identity, Encoding::Gzip, Encoding::Zstd] {
        let bytes = encoding.encode(body.clone()).unwrap();
        assert_eq!(bytes, encoding.encode(body.clone()).unwrap());
        assert!(encoding.encode(vec![]).unwrap().is_empty());
        let mut back = vec![];
        match encoding {
            Encoding::Identity => back.clone_from(&bytes),
            Encoding::Gzip => drop(flate2::read::GzDecoder::new(&bytes[..]).read_to_end(&mut back).unwrap()),
            Encoding::Zstd => {
                let mut decoder = ruzstd::decoding::StreamingDecoder::new(&bytes[..]).unwrap();
                decoder.read_to_end(&mut back).unwrap();
            }
        }
        assert!(back == body, "{encoding:?}");
        assert_eq!(Encoding::from_number(encoding.number()), Some(encoding));
        println!("{encoding:?}: {} of {} bytes; header {:?}", bytes.len(), body.len(), encoding.header());
    }
    assert_eq!(hex(&[0, 255]), "00ff");
}
