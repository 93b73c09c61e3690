//! The nodes' services: which are offered, and the calls of browsers.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{Future, FutureExt};
use r2r::{ClientUntyped, Node};
use serde_json::{Map, Value};
use tokio::sync::mpsc::Receiver;

use super::node::Shared;
use crate::ros::node::Shell;
use crate::viewer::protocol::{ServiceEntry, ServicesFrame};
use crate::viewer::{Call, Kind, check_request, known_services};

/// How often it is looked who offers what.
const LOOK_PERIOD: Duration = Duration::from_millis(300);

/// Whether a service is offered. r2r says only when it becomes so, and keeps every question until then: one is open at a time.
#[derive(Default)]
struct Offered(Option<Pin<Box<dyn Future<Output = r2r::Result<()>> + Send>>>);

impl Offered {
    /// Whether the question of the last look has been answered, which spinning does at once when the service is there.
    fn look(&mut self, client: &ClientUntyped) -> bool {
        let answer = self.0.as_mut().and_then(|question| question.now_or_never());
        if answer.is_some() || self.0.is_none() {
            self.0 = Node::is_available(client).ok().map(|question| Box::pin(question) as _);
        }
        matches!(answer, Some(Ok(())))
    }
}

/// Makes clients of all services that the page knows, posts which are offered, and hands over what browsers call. `weights_file` is what
/// pages save weights in.
pub fn call_and_watch(shell: &mut Shell, shared: &Shared, calls: Receiver<Call>, weights_file: String) {
    let clients = known_services().into_iter().filter_map(|entry| {
        let client = shell.client_untyped(&entry.name, &entry.kind)?;
        Some((entry, client))
    });
    let (entries, clients): (Vec<ServiceEntry>, Vec<ClientUntyped>) = clients.unzip();
    let clients: Arc<[(ServiceEntry, ClientUntyped)]> = entries.into_iter().zip(clients).collect();
    shell.runtime().spawn(watch(shared.clone(), clients.clone(), weights_file));
    shell.runtime().spawn(serve(clients, calls));
}

async fn watch(shared: Shared, clients: Arc<[(ServiceEntry, ClientUntyped)]>, weights_file: String) {
    let mut ticks = tokio::time::interval(LOOK_PERIOD);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut entries: Vec<ServiceEntry> = clients.iter().map(|(entry, _)| entry.clone()).collect();
    let mut offers: Vec<Offered> = clients.iter().map(|_| Offered::default()).collect();
    let mut posted = false;
    loop {
        ticks.tick().await;
        let mut changed = !posted;
        for ((entry, offered), (_, client)) in entries.iter_mut().zip(&mut offers).zip(clients.iter()) {
            let present = offered.look(client);
            changed |= present != entry.offered;
            entry.offered = present;
        }
        if changed {
            posted = true;
            let offers = |node: &str| entries.iter().any(|entry| entry.offered && entry.name.starts_with(node));
            shared.paint(|picture, _| picture.offered(offers("policy/"), offers("simulator/")));
            let frame = ServicesFrame { services: &entries, weights_file: &weights_file };
            shared.board.post_json(Kind::Services, &frame);
        }
    }
}

/// Sends each call as it comes, without waiting for the answers of others.
async fn serve(clients: Arc<[(ServiceEntry, ClientUntyped)]>, mut calls: Receiver<Call>) {
    while let Some(Call { service, request, answer }) = calls.recv().await {
        let Some((entry, client)) = clients.iter().find(|(entry, _)| entry.name == service) else {
            let _ = answer.send(Err(format!("the viewer calls no service `{service}`")));
            continue;
        };
        if let Err(error) = check_request(entry, &request) {
            let _ = answer.send(Err(error.to_string()));
            continue;
        }
        let request = if request.is_null() { Value::Object(Map::new()) } else { request };
        match client.request(request) {
            Ok(response) => {
                tracing::info!("a browser calls {service}");
                tokio::spawn(async move {
                    let response = response.await.and_then(|response| response);
                    // The browser may have gone.
                    let _ = answer.send(response.map_err(|error| error.to_string()));
                });
            }
            Err(error) => {
                let _ = answer.send(Err(error.to_string()));
            }
        }
    }
}
