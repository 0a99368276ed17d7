//! Many checks at once, and what of them may leave.

use super::*;
use std::sync::atomic::{AtomicUsize, Ordering};

#[tokio::test]
async fn few_run_at_once_and_the_order_stays() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let kept = (Arc::clone(&now), Arc::clone(&most));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (now, most) = (Arc::clone(&kept.0), Arc::clone(&kept.1));
            tokio::spawn(async move {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                // Until the other side gives up.
                drop(stream.read_to_end(&mut Vec::new()).await);
                now.fetch_sub(1, Ordering::SeqCst);
            });
        }
    });
    let silent = |n: usize| Check {
        alias: Word::alias(&format!("c{n}")).unwrap(),
        timeout: Duration::from_millis(100 + 40 * (9 - n as u64)),
        what: What::Database(Engine::Mysql, target(address)),
    };
    let checks: Vec<Check> = (0..9).map(silent).collect();
    let done = run(&checks).await;
    let names: Vec<&str> = done.iter().map(|checked| checked.alias.as_str()).collect();
    assert_eq!(names, ["c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8"]);
    done.into_iter().for_each(|checked| down(checked.result, Class::TimedOut));
    assert_eq!(most.load(Ordering::SeqCst), AT_ONCE);
}

#[tokio::test]
async fn what_could_not_end_in_time_is_not_begun_and_says_so() {
    let (address, seen) = plain(Then::Answer(b"S".to_vec())).await;
    let database = What::Database(Engine::Postgres, target(address));
    let long = Check { timeout: TOTAL + Duration::from_secs(1), ..check(database.clone()) };
    let (readings, faults) = check_all(&[long, check(database)]).await;
    assert_eq!((readings.len(), readings[0].up), (1, Some(1)));
    assert_eq!(serde_json::to_string(&faults).unwrap(), r#"[{"probe":"application","code":"timed_out","name":"x"}]"#);
    assert_eq!(seen.bytes().len(), 8, "one of two was begun");
    assert_eq!(check_all(&[]).await, (Vec::new(), Vec::new()));
}

/// Whatever the outcome, neither host, address, URL, title, text nor path is in what leaves.
#[tokio::test]
async fn nothing_that_leaves_names_what_was_checked() {
    let dir = tempfile::tempdir().unwrap();
    let (open, _) = plain(Then::Answer(b"HTTP/1.1 302 Found\r\nLocation: http://planted-location/\r\nContent-Length: 7\r\n\r\nplanted".to_vec())).await;
    let (shut, pem) = (refused_port().await, dir.path().join("planted.pem"));
    std::fs::write(&pem, certificate(None, "planted-name.example", 2090).1).unwrap();
    let file = dir.path().join("agent.toml");
    let mut text = String::new();
    for (n, port) in [open.port(), shut.port()].into_iter().enumerate() {
        text += &format!("[application.t{n}]\nkind='tcp'\ntarget='localhost:{port}'\n");
        text += &format!("[application.d{n}]\nkind='dicom_echo'\ntarget='localhost:{port}'\ncalled_ae='PLANTEDCALLED'\ncalling_ae='PLANTEDCALLING'\n");
        text += &format!("[application.h{n}]\nkind='http'\ntarget='http://localhost:{port}/planted-path?planted=1'\ncontains='planted'\n");
        text += &format!("[application.s{n}]\nkind='tls'\ntarget='localhost:{port}'\n");
    }
    text += &format!("[application.f0]\nkind='certificate_file'\ntarget='{}'\n", pem.display());
    text += &format!("[application.f1]\nkind='certificate_file'\ntarget='{}'\n", dir.path().join("planted-missing").display());
    text += "[application.n0]\nkind='tcp'\ntarget='planted-host.invalid:104'\ntimeout='30s'\n";
    std::fs::write(&file, text).unwrap();
    let checks = configured(&Config::load(&file, std::iter::empty(), &[]).unwrap());
    let (application, faults) = check_all(&checks).await;
    let readings = mimamori_shared::fields::Readings { application, ..Default::default() };
    let json = serde_json::to_string(&serde_json::json!({"readings": readings, "faults": faults})).unwrap();
    assert_eq!((readings.application.len(), faults.len()), (10, 1), "{json}");
    for secret in ["planted", "localhost", "127.0.0.1", "::1", "tmp", &open.port().to_string(), &shut.port().to_string()] {
        assert!(!json.to_ascii_lowercase().contains(secret), "{secret}: {json}");
    }
    let classes: Vec<String> = readings.application.iter().map(|one| format!("{} {}", one.name, one.error.as_ref().unwrap())).collect();
    assert_eq!(
        classes,
        ["d0 protocol", "d1 refused", "f0 ok", "h0 status", "h1 refused", "n0 name_not_found", "s0 tls_handshake", "s1 refused", "t0 ok", "t1 refused"]
    );
}
