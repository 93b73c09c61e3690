//! The least that a node in between can do: subscribe, wait for a set of one stamp, publish.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use futures::StreamExt;
use futures::executor::LocalPool;
use futures::task::LocalSpawnExt;
use hebbian_locomotion::ros::convert;
use r2r::builtin_interfaces::msg::Time;
use r2r::hebbian_locomotion::msg::FootContacts;
use r2r::sensor_msgs::msg::{Imu, JointState};
use r2r::{Context, Node, QosProfile};

use crate::Result;

/// Echoes in `namespace` until it is killed.
pub fn run(namespace: &str) -> Result<()> {
    let mut node = Node::create(Context::create()?, "echo", namespace)?;
    let (imu, contacts, joints) = (
        node.subscribe::<Imu>("imu/data", QosProfile::sensor_data())?,
        node.subscribe::<FootContacts>("foot_contacts", QosProfile::sensor_data())?,
        node.subscribe::<JointState>("joint_states", QosProfile::sensor_data())?,
    );
    let commands = node.create_publisher::<JointState>("joint_commands", QosProfile::default().keep_last(1))?;
    // The stamps of the latest IMU and contacts, and the latest joints.
    let stamps = Rc::new([const { Cell::new(0) }; 2]);
    let latest = Rc::new(Cell::new(None::<JointState>));
    let answer = {
        let (stamps, latest) = (stamps.clone(), latest.clone());
        Rc::new(move || {
            let Some(joints) = latest.take() else { return };
            let stamp = nanoseconds(&joints.header.stamp);
            if stamps.iter().all(|other| other.get() == stamp) {
                // Nobody hears of what cannot be published: the probe counts what is not answered.
                let _ = commands.publish(&convert::command(stamp, &joints.name, joints.position));
            } else {
                latest.set(Some(joints));
            }
        })
    };
    let mut pool = LocalPool::new();
    let (noted, answer_imu) = (stamps.clone(), answer.clone());
    pool.spawner().spawn_local(imu.for_each(move |message| {
        noted[0].set(nanoseconds(&message.header.stamp));
        answer_imu();
        std::future::ready(())
    }))?;
    let answer_contacts = answer.clone();
    pool.spawner().spawn_local(contacts.for_each(move |message| {
        stamps[1].set(nanoseconds(&message.header.stamp));
        answer_contacts();
        std::future::ready(())
    }))?;
    pool.spawner().spawn_local(joints.for_each(move |message| {
        latest.set(Some(message));
        answer();
        std::future::ready(())
    }))?;
    loop {
        node.spin_once(Duration::from_millis(50));
        pool.run_until_stalled();
    }
}

fn nanoseconds(time: &Time) -> i64 {
    convert::stamp(time).unwrap_or(-1)
}
