//! Worker of a deployment: the thread that acts on verdicts and drops what has drained, so that no caller does.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use super::control::Control;
use super::event::RolloutEvent;
use super::view::Message;
use crate::Result;
use crate::threads::contained;

/// How often is looked for the end of the last runs.
const NAP: Duration = Duration::from_millis(2);

pub(super) fn work(control: &Control, messages: &Receiver<Message>) {
    let mut settling: Vec<Sender<()>> = Vec::new();
    let mut drains = false;
    loop {
        let message = if drains { messages.recv_timeout(NAP) } else { messages.recv().map_err(RecvTimeoutError::from) };
        match message {
            Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            Ok(Message::Settle(settled)) => settling.push(settled),
            Ok(message) => {
                // Code of the app runs in it: its versions.
                let done =
                    contained(|| handle(control, message)).map_err(|panic| tracing::warn!("deployment: {panic}"));
                if let Ok(Err(error)) = done {
                    tracing::warn!("deployment: {error:#}");
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
        drains = contained(|| control.drain()).unwrap_or(true);
        if !drains {
            for settled in settling.drain(..) {
                // Nobody may wait any more.
                let _ = settled.send(());
            }
        }
    }
}

fn handle(control: &Control, message: Message) -> Result<()> {
    match message {
        Message::Judged { version } => control.found_worse(version),
        Message::Consider => control.consider(),
        Message::ShadowEnded => control.handle(&RolloutEvent::ShadowEnded),
        Message::Drain | Message::Settle(_) | Message::Stop => Ok(()),
    }
}
