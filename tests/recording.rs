//! Bags: what is written is read, crashes lose little, and no changed byte goes unnoticed.
#![allow(clippy::unwrap_used)]

#[path = "common/bag.rs"]
mod bag;
mod common;

use std::io::Write;
use std::path::{Path, PathBuf};

use bag::topic;
use common::hebb;
use hebbian_locomotion::recording::message::{JointState, PolicyStep, WeightSnapshot};
use hebbian_locomotion::recording::{Bag, BagError, BagWriter, Compression, Integrity, TopicQos, WriterOptions, repair};
use proptest::prelude::*;

fn storage(folder: &Path) -> PathBuf {
    let name = folder.file_name().unwrap().to_str().unwrap();
    folder.join(format!("{name}_0.mcap"))
}

/// Writes `messages` (topic, bytes) to two topics of a new bag; message n carries the time 1000 + n. `chunk_size` is small, so that there
/// are several chunks.
fn write(folder: &Path, messages: &[(bool, Vec<u8>)], compression: Compression) -> BagWriter {
    let options = WriterOptions { compression, chunk_size: 500, distribution: "jazzy".to_owned() };
    let mut bag = BagWriter::create(folder, &options).unwrap();
    let topics =
        [bag.add_topic(topic::<JointState>("/joints")).unwrap(), bag.add_topic(topic::<WeightSnapshot>("/weights")).unwrap()];
    for (index, (second, data)) in messages.iter().enumerate() {
        let time = 1000 + index as u64;
        bag.write(topics[usize::from(*second)], time, time, data).unwrap();
    }
    bag
}

fn numbered(count: usize) -> Vec<(bool, Vec<u8>)> {
    (0..count).map(|index| (index % 3 == 0, vec![index as u8; 20 + index % 50])).collect()
}

fn read(path: &Path) -> Result<Vec<(bool, Vec<u8>)>, BagError> {
    Bag::open(path)?.messages().map(|message| message.map(|message| (message.topic() == "/weights", message.data))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn what_is_written_is_read_byte_for_byte(
        messages in proptest::collection::vec((any::<bool>(), proptest::collection::vec(any::<u8>(), 0..300)), 0..60),
        zstd in any::<bool>(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("walk");
        let compression = if zstd { Compression::Zstd } else { Compression::None };
        write(&path, &messages, compression).finish().unwrap();
        prop_assert_eq!(&read(&path).unwrap(), &messages);
        prop_assert_eq!(&read(&storage(&path)).unwrap(), &messages);
        let summary = Bag::open(&path).unwrap().verify().unwrap();
        prop_assert_eq!(summary.integrity, Integrity::Checked);
        let count = |topic: &str| summary.topics.get(topic).map_or(0, |topic| topic.messages as usize);
        prop_assert_eq!(count("/weights"), messages.iter().filter(|(second, _)| *second).count());
        prop_assert_eq!(count("/joints") + count("/weights"), messages.len());
    }
}

#[test]
fn types_and_times_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("walk");
    write(&path, &numbered(5), Compression::None).finish().unwrap();
    let messages: Vec<_> = Bag::open(&path).unwrap().messages().collect::<Result<_, _>>().unwrap();
    assert_eq!(messages.iter().map(|message| message.log_time).collect::<Vec<_>>(), [1000, 1001, 1002, 1003, 1004]);
    assert_eq!([messages[0].kind(), messages[1].kind()], ["hebbian_locomotion/msg/WeightSnapshot", "sensor_msgs/msg/JointState"]);
    let definition = String::from_utf8(messages[0].definition().to_vec()).unwrap();
    assert!(
        definition.contains("float32[] weights") && definition.contains("MSG: builtin_interfaces/Time\nint32 sec"),
        "{definition}"
    );
    let metadata = std::fs::read_to_string(path.join("metadata.yaml")).unwrap();
    for part in ["storage_identifier: mcap", "message_count: 5", "ros_distro: jazzy", "walk_0.mcap", "reliability: reliable"] {
        assert!(metadata.contains(part), "no `{part}` in\n{metadata}");
    }
}

#[test]
fn any_flipped_bit_of_a_finished_bag_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("walk");
    write(&path, &numbered(15), Compression::None).finish().unwrap();
    let file = storage(&path);
    let whole = std::fs::read(&file).unwrap();
    let verify = |path: &Path| Bag::open(path).and_then(|bag| bag.verify());
    assert!(verify(&path).is_ok());
    let mut unnoticed = Vec::new();
    for index in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[index] ^= 1 << (index % 8);
        std::fs::write(&file, &damaged).unwrap();
        match verify(&path) {
            Err(BagError::Damaged { .. } | BagError::Inconsistent { .. }) => {}
            // A file without its last bytes is one that was cut short, and said to be.
            Ok(summary) if summary.integrity == Integrity::Cut && index >= whole.len() - mcap::MAGIC.len() => {}
            other => unnoticed.push((index, other)),
        }
    }
    assert!(
        unnoticed.is_empty(),
        "of {} bytes {} flips went unnoticed: {:?}",
        whole.len(),
        unnoticed.len(),
        &unnoticed[..unnoticed.len().min(5)]
    );
}

/// A file of another writer: one message after another, as `options` say.
fn write_foreign(path: &Path, options: mcap::WriteOptions) {
    let mut writer = options.create(std::io::BufWriter::new(std::fs::File::create(path).unwrap())).unwrap();
    let schema = writer.add_schema("std_msgs/msg/String", "ros2msg", b"string data").unwrap();
    let channel_id = writer.add_channel(schema, "/talk", "cdr", &Default::default()).unwrap();
    for time in 0..20 {
        let header = mcap::records::MessageHeader { channel_id, sequence: 0, log_time: time, publish_time: time };
        writer.write_to_known_channel(&header, &[7; 100]).unwrap();
    }
    writer.finish().unwrap();
}

/// Where the checksums of the chunks of a file stand.
fn chunk_checksums(bytes: &[u8]) -> Vec<usize> {
    let (mut places, mut place) = (Vec::new(), mcap::MAGIC.len());
    while bytes.get(place).is_some_and(|&kind| kind != mcap::records::op::DATA_END) {
        if bytes[place] == mcap::records::op::CHUNK {
            places.push(place + 9 + 24);
        }
        place += 9 + u64::from_le_bytes(bytes[place + 1..place + 9].try_into().unwrap()) as usize;
    }
    places
}

#[test]
fn a_file_without_chunks_and_without_a_checksum_is_not_taken_as_checked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("talk.mcap");
    let integrity = || Bag::open(&path).unwrap().verify().unwrap().integrity;
    let options = || mcap::WriteOptions::new().use_chunks(false);
    write_foreign(&path, options());
    assert_eq!(integrity(), Integrity::Checked);
    // As rosbag2's writer does it.
    write_foreign(&path, options().calculate_data_section_crc(false));
    assert_eq!(integrity(), Integrity::WithoutChecksums);
    let mut bytes = std::fs::read(&path).unwrap();
    let place = bytes.windows(100).position(|window| window == [7; 100]).unwrap();
    bytes[place] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(integrity(), Integrity::WithoutChecksums);
}

#[test]
fn one_chunk_without_a_checksum_is_enough_to_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("talk.mcap");
    let integrity = || Bag::open(&path).unwrap().verify().unwrap().integrity;
    let options = || mcap::WriteOptions::new().chunk_size(Some(500)).compression(None).disable_seeking(true);
    write_foreign(&path, options().calculate_data_section_crc(false));
    assert_eq!(integrity(), Integrity::Checked);
    let mut bytes = std::fs::read(&path).unwrap();
    let places = chunk_checksums(&bytes);
    assert!(places.len() > 2, "{places:?}");
    let last = places[places.len() - 1];
    bytes[last..last + 4].fill(0);
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(integrity(), Integrity::WithoutChecksums);
    write_foreign(&path, options().calculate_chunk_crcs(false).calculate_data_section_crc(false));
    assert_eq!(integrity(), Integrity::WithoutChecksums);
}

#[test]
fn the_parts_of_a_split_bag_without_metadata_are_read_in_the_order_of_their_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let parts = folder.path().join("parts");
    std::fs::create_dir(&parts).unwrap();
    for number in 0..12u8 {
        let path = folder.path().join(format!("part{number}"));
        write(&path, &[(false, vec![number])], Compression::None).finish().unwrap();
        std::fs::rename(storage(&path), parts.join(format!("long_walk_{number}.mcap"))).unwrap();
    }
    let read: Vec<_> = read(&parts).unwrap().into_iter().map(|(_, data)| data[0]).collect();
    assert_eq!(read, (0..12).collect::<Vec<_>>());
}

#[test]
fn no_message_of_a_damaged_chunk_is_given_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("walk");
    let messages = numbered(40);
    write(&path, &messages, Compression::None).finish().unwrap();
    let file = storage(&path);
    let mut bytes = std::fs::read(&file).unwrap();
    let wanted = &messages[20].1;
    let place = bytes.windows(wanted.len()).position(|window| window == wanted).unwrap();
    bytes[place + 3] ^= 1;
    std::fs::write(&file, &bytes).unwrap();
    let (mut given, mut error) = (Vec::new(), None);
    for message in Bag::open(&path).unwrap().messages() {
        match message {
            Ok(message) => given.push((message.topic() == "/weights", message.data)),
            Err(failed) => error = Some(failed.to_string()),
        }
    }
    assert!(given.len() < 20 && given[..] == messages[..given.len()], "{}", given.len());
    let error = error.unwrap();
    assert!(error.contains("damaged") && error.contains("CRC"), "{error}");
}

#[test]
fn a_bag_that_was_cut_anywhere_is_read_up_to_its_last_whole_chunk() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("walk");
    let messages = numbered(60);
    let mut bag = write(&path, &messages, Compression::None);
    bag.flush().unwrap();
    // Not finished and not dropped: as after SIGKILL.
    std::mem::forget(bag);
    assert_eq!(read(&path).unwrap(), messages);
    let file = storage(&path);
    let whole = std::fs::read(&file).unwrap();
    let mut last = 0;
    for length in (0..whole.len()).step_by(7) {
        std::fs::File::create(&file).unwrap().write_all(&whole[..length]).unwrap();
        let bag = Bag::open(&path).unwrap();
        let read = read(&path).unwrap();
        assert!(read[..] == messages[..read.len()] && read.len() >= last, "{length} bytes");
        last = read.len();
        assert_eq!(bag.verify().unwrap().integrity, Integrity::Cut);
    }
    assert!(last > 40, "{last} messages in all but the last bytes");
}

/// The messages of `all` that are not among those in `saved`, which has what is before and behind them.
fn missing<'a>(all: &'a [(bool, Vec<u8>)], saved: &[(bool, Vec<u8>)]) -> &'a [(bool, Vec<u8>)] {
    let before = all.iter().zip(saved).take_while(|(all, saved)| all == saved).count();
    let end = all.len() - (saved.len() - before);
    assert_eq!(all[end..], saved[before..]);
    &all[before..end]
}

/// Flips a bit of the file of the bag `path`, at the byte that `place` finds by the places of all chunks' checksums.
fn damage(path: &Path, place: impl FnOnce(&[usize]) -> usize) {
    let file = storage(path);
    let mut bytes = std::fs::read(&file).unwrap();
    let place = place(&chunk_checksums(&bytes));
    bytes[place] ^= 64;
    std::fs::write(&file, bytes).unwrap();
}

#[test]
fn a_damaged_chunk_costs_no_message_of_another_and_is_counted() {
    let messages = numbered(40);
    for compression in [Compression::None, Compression::Zstd] {
        for quarter in [0, 2, 4] {
            let folder = tempfile::tempdir().unwrap();
            let (path, saved) = (folder.path().join("walk"), folder.path().join("saved"));
            write(&path, &messages, compression).finish().unwrap();
            // The first one, which but for the summary alone says what the topics are; one in the middle; the last one.
            damage(&path, |places| places[(places.len() - 1) * quarter / 4]);
            let repaired = repair(&Bag::open(&path).unwrap(), &saved).unwrap();
            let read = read(&saved).unwrap();
            let lost = missing(&messages, &read).len();
            assert!(lost < 10 && (lost > 0 || quarter == 0), "{lost} messages are lost");
            assert_eq!(repaired.messages as usize, 40 - lost);
            assert_eq!((repaired.lost_chunks, repaired.nameless, repaired.lost_bytes), (1, 0, 0));
            assert_eq!(Bag::open(&saved).unwrap().verify().unwrap().integrity, Integrity::Checked);
            // Programs notice.
            let again = folder.path().join("again");
            let done = hebb(["bag", path.to_str().unwrap(), "--repair", again.to_str().unwrap()]);
            let error = String::from_utf8(done.stderr).unwrap();
            assert!(!done.status.success() && error.contains("CRC") && error.contains("damaged chunks (1)"), "{error}");
            assert!(again.join("metadata.yaml").exists());
        }
    }
}

#[test]
fn whatever_bit_is_flipped_a_repair_saves_only_what_was_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("walk");
    let messages = numbered(30);
    write(&path, &messages, Compression::None).finish().unwrap();
    let file = storage(&path);
    let whole = std::fs::read(&file).unwrap();
    for index in (0..whole.len()).step_by(29) {
        let mut damaged = whole.clone();
        damaged[index] ^= 1 << (index % 8);
        std::fs::write(&file, &damaged).unwrap();
        let saved = folder.path().join(format!("saved {index}"));
        let repaired = repair(&Bag::open(&path).unwrap(), &saved).unwrap();
        let read = read(&saved).unwrap();
        let mut written = messages.iter();
        assert!(read.iter().all(|message| written.any(|other| other == message)), "byte {index}: {repaired:?}");
        assert!(repaired.damage.is_some() || read.len() == messages.len(), "byte {index}: {repaired:?}");
    }
}

#[test]
fn messages_whose_topic_is_lost_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let (path, saved) = (folder.path().join("walk"), folder.path().join("saved"));
    let mut bag = write(&path, &numbered(40), Compression::None);
    bag.flush().unwrap();
    // As after SIGKILL: no summary repeats what the first chunk said.
    std::mem::forget(bag);
    damage(&path, |places| places[0]);
    let repaired = repair(&Bag::open(&path).unwrap(), &saved).unwrap();
    assert!(repaired.messages == 0 && (30..=40).contains(&repaired.nameless), "{repaired:?}");
    assert!(repaired.damage.is_some() && repaired.lost_chunks == 1, "{repaired:?}");
}

#[test]
fn a_damaged_length_costs_no_message_of_another_file() {
    let folder = tempfile::tempdir().unwrap();
    let parts = folder.path().join("parts");
    std::fs::create_dir(&parts).unwrap();
    let messages = numbered(40);
    for number in 0..2 {
        let path = folder.path().join(format!("part{number}"));
        write(&path, &messages, Compression::None).finish().unwrap();
        if number == 0 {
            // The last byte of a chunk's length, in front of 24 bytes of its header.
            damage(&path, |places| places[places.len() / 2] - 24 - 1);
        }
        std::fs::rename(storage(&path), parts.join(format!("walk_{number}.mcap"))).unwrap();
    }
    let saved = folder.path().join("saved");
    let repaired = repair(&Bag::open(&parts).unwrap(), &saved).unwrap();
    assert!(repaired.damage.is_some() && repaired.lost_chunks == 0 && repaired.lost_bytes > 1000, "{repaired:?}");
    let both = [&messages[..], &messages[..]].concat();
    let read = read(&saved).unwrap();
    let lost = missing(&both, &read);
    assert!((15..30).contains(&lost.len()) && read.len() > 50, "{} messages are lost", lost.len());
}

#[test]
fn a_repair_writes_no_figures_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let [path, saved, json] = ["walk", "saved", "bag.json"].map(|name| folder.path().join(name));
    write(&path, &numbered(5), Compression::None).finish().unwrap();
    let [bag, new, figures] = [&path, &saved, &json].map(|path| path.to_str().unwrap());
    let done = hebb(["bag", bag, "--repair", new, "--json", figures]);
    let error = String::from_utf8(done.stderr).unwrap();
    assert!(!done.status.success() && error.contains("--json") && !saved.exists() && !json.exists(), "{error}");
}

#[test]
fn what_is_left_of_a_cut_or_damaged_bag_becomes_a_whole_one() {
    let folder = tempfile::tempdir().unwrap();
    let (path, saved) = (folder.path().join("walk"), folder.path().join("saved"));
    let messages = numbered(40);
    write(&path, &messages, Compression::None).finish().unwrap();
    let file = storage(&path);
    let mut bytes = std::fs::read(&file).unwrap();
    let place = bytes.windows(20).position(|window| window == [36; 20]).unwrap();
    bytes[place] ^= 1;
    std::fs::write(&file, &bytes).unwrap();
    let repaired = repair(&Bag::open(&path).unwrap(), &saved).unwrap();
    let read = read(&saved).unwrap();
    let lost = missing(&messages, &read);
    assert!(lost.contains(&messages[36]) && lost.len() < 10, "{} messages are lost", lost.len());
    assert!(repaired.damage.unwrap().contains("CRC") && repaired.messages as usize == read.len());
    let bag = Bag::open(&saved).unwrap();
    assert_eq!(bag.verify().unwrap().integrity, Integrity::Checked);
    let first = bag.messages().next().unwrap().unwrap();
    assert_eq!(first.offered_qos(), [TopicQos::new(true, false)]);
    assert!(first.definition().starts_with(b"# All weights of the network"));
}

#[test]
fn what_the_recorder_lost_stays_counted_in_a_repaired_bag() {
    let folder = tempfile::tempdir().unwrap();
    let (path, saved) = (folder.path().join("walk"), folder.path().join("saved"));
    let mut bag = write(&path, &numbered(40), Compression::None);
    let weights = bag.add_topic(topic::<WeightSnapshot>("/other_weights")).unwrap();
    let steps = bag.add_topic(topic::<PolicyStep>("/steps")).unwrap();
    bag.write(weights, 2000, 2000, &[7; 30]).unwrap();
    // Of one topic some messages are in the bag, of the other none.
    bag.note_dropped(weights, 3);
    bag.note_dropped(steps, 5);
    bag.finish().unwrap();
    repair(&Bag::open(&path).unwrap(), &saved).unwrap();
    let [before, after] = [&path, &saved].map(|path| Bag::open(path).unwrap().verify().unwrap());
    assert_eq!((after.topics["/other_weights"].dropped, after.topics["/steps"].dropped), (3, 5));
    assert_eq!((after.topics["/joints"].dropped, after.topics.len()), (0, 4));
    assert_eq!(before, after);
}

#[test]
fn metadata_and_file_must_agree() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("walk");
    write(&path, &numbered(10), Compression::None).finish().unwrap();
    let metadata = path.join("metadata.yaml");
    let text = std::fs::read_to_string(&metadata).unwrap();
    std::fs::write(&metadata, text.replace("message_count: 10", "message_count: 12")).unwrap();
    let error = Bag::open(&path).unwrap().verify().unwrap_err().to_string();
    assert!(error.contains("speaks of 12 messages, the files hold 10"), "{error}");
    std::fs::write(&metadata, "rosbag2_bagfile_information: 7").unwrap();
    assert!(Bag::open(&path).unwrap_err().to_string().contains("no metadata of rosbag2"));
    std::fs::write(&metadata, text.replace("storage_identifier: mcap", "storage_identifier: sqlite3")).unwrap();
    assert!(Bag::open(&path).unwrap_err().to_string().contains("stored as sqlite3"));
}

#[test]
fn nothing_is_overwritten_and_what_is_no_bag_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let error = BagWriter::create(folder.path(), &WriterOptions::default()).err().unwrap().to_string();
    assert!(error.contains("exists already"), "{error}");
    assert!(Bag::open(folder.path()).unwrap_err().to_string().contains("is no bag"));
    assert!(Bag::open(&folder.path().join("walk.mcap")).unwrap_err().to_string().contains("walk.mcap"));
    let text = folder.path().join("notes.mcap");
    std::fs::write(&text, "not a bag, but long enough to be one").unwrap();
    assert!(matches!(Bag::open(&text).unwrap().verify(), Err(BagError::Damaged { .. })));
}
