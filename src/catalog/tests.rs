use super::*;
use model::FieldUse;

#[test]
fn the_built_in_catalogs_have_no_faults() {
    let names: Vec<String> = load(None).unwrap().all.iter().map(|catalog| catalog.name.clone()).collect();
    assert_eq!(names, ["recording", "signaling", "proxy", "edumeet", "vlog"]);
}

#[test]
fn a_missing_directory_holds_no_catalogs() {
    assert_eq!(load(Some(Path::new("/nonexistent"))).unwrap().all.len(), 5);
}

/// The fields that an event requires, and those that it may have.
#[test]
fn the_fields_of_an_event_follow_from_its_effects() {
    let catalogs = load(None).unwrap().all;
    let cases = [
        ("recording.started", "backend recording", ""),
        ("recording.stopped", "backend recording", "duration"),
        ("signaling.session.joined", "session backend clienttype", "country"),
        ("signaling.session.resumed", "session", ""),
        ("signaling.room.joined", "backend room session", ""),
        ("signaling.backend_request.finished", "backend duration", "error"),
        ("proxy.publisher.created", "publisher type session", ""),
        ("edumeet.producer.stats", "id type byte_count score", ""),
        ("vlog.http.request_finished", "request method endpoint status_code", "duration"),
        ("vlog.worker.heartbeat", "worker_id result", "worker_name status"),
    ];
    for (name, fields, optional) in cases {
        let event =
            catalogs.iter().flat_map(|catalog| &catalog.events).find(|event| *event.name == *name).unwrap();
        let list = |used| event.fields_used_as(used).collect::<Vec<_>>().join(" ");
        assert_eq!(
            (list(FieldUse::Required).as_str(), list(FieldUse::Optional).as_str()),
            (fields, optional),
            "{name}"
        );
    }
}

#[test]
fn the_patterns_of_built_in_catalogs_are_good() {
    let mut count = 0;
    for (file, text) in super::BUILT_IN {
        let catalog = read_catalog(file, text).unwrap();
        for line in &catalog.lines {
            super::lines::check_patterns(line, &catalog.events)
                .unwrap_or_else(|fault| panic!("{file}: {}", fault.what));
            count += line.patterns.len();
        }
    }
    assert!(count > 20);
}
