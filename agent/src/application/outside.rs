//! What others answer to checks, as functions of bytes: see `crate::outside`.

use super::connect::Target;
use super::{Http, Titles, certificate, dicom, http, tcp};
use crate::outside::{Reader, done};
use tokio::io::{join, sink};
use tokio::time::Instant;

/// By what is asked. Each answer comes at once, from somebody who takes whatever is sent.
pub(crate) const READERS: &[Reader] = &[
    ("http-answer", |bytes| alone(async { done(http::ask(join(bytes, sink()), &page(), Instant::now()).await) })),
    ("dicom-answer", |bytes| alone(async { done(dicom::converse(&mut join(bytes, sink()), &titles(), Instant::now()).await) })),
    ("database-answer", |bytes| {
        alone(async { done((tcp::postgres(&mut join(bytes, sink())).await, tcp::mysql(&mut join(bytes, sink())).await)) });
    }),
    ("certificates", |bytes| {
        done(certificate::not_after_ms(bytes));
        for one in certificate::all(bytes).unwrap_or_default() {
            done(certificate::not_after_ms(&one));
        }
    }),
];

fn alone(asking: impl Future<Output = ()>) {
    // Without a timer or sockets nothing can be missing on this machine.
    if let Ok(runtime) = tokio::runtime::Builder::new_current_thread().build() {
        runtime.block_on(asking);
    }
}

fn page() -> Http {
    Http {
        target: Target { host: "pacs.example".to_owned(), port: 80 },
        ca_file: None,
        authority: "pacs.example".to_owned(),
        path: "/".to_owned(),
        head: false,
        expected: vec![(200, 299)],
        contains: Some("ready".to_owned()),
    }
}

fn titles() -> Titles {
    Titles { called: "PACS".to_owned(), calling: "MIMAMORI".to_owned() }
}
