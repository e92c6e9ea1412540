//! Topics that are made because somebody asks for them (`auto.create.topics.enable`): the first answer is without them.

use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::*;

use super::talk::{Talk, topic};

const NAMES: [&str; 3] = ["conf-auto", "conf-auto.a", "conf-auto_a"];

pub(crate) fn cases(t: &mut Talk) {
    t.remove_topics(&NAMES);
    let ask = |names: &[&str], create: bool| {
        let topic = |n: &&str| MetadataRequestTopic::default().with_name(Some(topic(n)));
        MetadataRequest::default()
            .with_topics(Some(names.iter().map(topic).collect()))
            .with_allow_auto_topic_creation(create)
    };
    for version in [1, 4, 12] {
        t.ask(
            "asked for without wanting it",
            12,
            &ask(&["conf-auto"], false),
        );
        let wanting = ask(&["conf-auto"], true);
        t.ask("asked for", version, &wanting);
        t.until(&["conf-auto"], |_, code, partitions| {
            code == 0 && partitions == 1
        });
        let there = t.quietly(4, &wanting);
        let shown = (there.topics[0].error_code, there.topics[0].partitions.len());
        t.write_down("there", &format!("{shown:?}"));
        // It comes back as it came.
        t.remove_topics(&["conf-auto"]);
    }
    t.ask("bad names asked for", 12, &ask(&["bad!", ""], true));
    t.ask("one that collides", 12, &ask(&["conf-auto.a"], true));
    t.until(&["conf-auto.a"], |_, code, partitions| {
        code == 0 && partitions == 1
    });
    t.ask("the other that collides", 12, &ask(&["conf-auto_a"], true));
    t.remove_topics(&NAMES);
}
