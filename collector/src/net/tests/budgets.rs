//! Who may hold a connection, and for how long once verified.

use super::*;

/// Open for at least a while: answers a request.
async fn is_served(peer: &mut TcpStream) {
    assert_eq!(ask(peer, GET).await.0, 200);
}

async fn is_refused(peer: &mut TcpStream) {
    let (after, said) = until_closed(peer).await;
    assert_eq!(said, "");
    assert!(after < PATIENCE / 2);
}

#[tokio::test]
async fn a_source_has_its_share_and_gets_it_back() {
    let server = start(ConnLimits { per_source_max: 2, ..patient() });
    let mut first = server.connect().await;
    let mut second = server.connect().await;
    is_served(&mut first).await;
    is_served(&mut second).await;
    is_refused(&mut server.connect().await).await;
    is_served(&mut server.connect_from([127, 0, 0, 2]).await).await;
    drop(first);
    server.expect_closed(Closed::Finished, 2).await;
    is_served(&mut server.connect().await).await;
    assert_eq!(server.telemetry.closed(Closed::TooManyFromSource), 1);
}

#[tokio::test]
async fn a_verified_connection_is_outside_its_source_share() {
    let server = start(ConnLimits { per_source_max: 1, ..patient() });
    let mut first = server.connect().await;
    assert_eq!(ask(&mut first, &get_path("/verify/a")).await.0, 200);
    is_served(&mut server.connect().await).await;
}

#[tokio::test]
async fn the_unauthenticated_budget_is_for_all_sources() {
    let server = start(ConnLimits { unauthenticated_max: 2, ..patient() });
    let mut first = server.connect_from([127, 0, 0, 2]).await;
    let mut second = server.connect_from([127, 0, 0, 3]).await;
    is_served(&mut first).await;
    is_served(&mut second).await;
    is_refused(&mut server.connect().await).await;
    assert_eq!(server.telemetry.closed(Closed::TooManyUnauthenticated), 1);
    assert_eq!(ask(&mut first, &get_path("/verify/a")).await.0, 200);
    is_served(&mut server.connect().await).await;
}

#[tokio::test]
async fn an_agent_has_two_connections_and_gets_them_back() {
    let server = start(patient());
    let (mut first, mut second, mut third) = (server.connect().await, server.connect().await, server.connect().await);
    let verify = get_path("/verify/a");
    for peer in [&mut first, &mut second] {
        // A second report on the same connection counts nothing.
        assert_eq!(ask(peer, &verify).await.0, 200);
        assert_eq!(ask(peer, &verify).await.0, 200);
    }
    assert_eq!(ask(&mut third, &verify).await.0, 429);
    assert_eq!(ask(&mut server.connect().await, &get_path("/verify/b")).await.0, 200);
    server.expect_closed(Closed::Finished, 1).await;
    drop(first);
    server.expect_closed(Closed::Finished, 2).await;
    assert_eq!(ask(&mut third, &verify).await.0, 200);
    assert_eq!(server.telemetry.too_many_for_agent.load(Relaxed), 1);
    assert_eq!(server.telemetry.open_authenticated.load(Relaxed), 2);
    assert_eq!(server.telemetry.open_unauthenticated.load(Relaxed), 0);
}

#[tokio::test]
async fn the_authenticated_budget_is_for_all_agents() {
    let server = start(ConnLimits { authenticated_max: 1, ..patient() });
    let (mut first, mut second) = (server.connect().await, server.connect().await);
    assert_eq!(ask(&mut first, &get_path("/verify/a")).await.0, 200);
    assert_eq!(ask(&mut second, &get_path("/verify/b")).await.0, 429);
    assert_eq!(server.telemetry.too_many_authenticated.load(Relaxed), 1);
}

#[tokio::test]
async fn a_verified_connection_outlives_the_unverified_idle_limit() {
    let server = start(ConnLimits { idle_unverified: SHORT, ..patient() });
    let (mut agent, mut other) = (server.connect().await, server.connect().await);
    assert_eq!(ask(&mut agent, &get_path("/verify/a")).await.0, 200);
    check_silence(until_closed(&mut other).await, SHORT / 2);
    sleep(SHORT * 2).await;
    is_served(&mut agent).await;
}

#[tokio::test]
async fn a_verified_connection_has_limits_of_its_own() {
    let server = start(ConnLimits { idle_verified: SHORT, ..patient() });
    let mut agent = server.connect().await;
    assert_eq!(ask(&mut agent, &get_path("/verify/a")).await.0, 200);
    check_silence(until_closed(&mut agent).await, SHORT);
    server.expect_closed(Closed::Idle, 1).await;
    server.expect_value(|t| &t.open_authenticated, 0).await;
}

/// The long idle limit must not be lent to a head begun after it: the watchdog sleeps far ahead then.
#[tokio::test]
async fn a_partial_head_on_a_verified_connection_is_closed() {
    let server = start(ConnLimits { head: SHORT, ..patient() });
    let mut agent = server.connect().await;
    assert_eq!(ask(&mut agent, &get_path("/verify/a")).await.0, 200);
    sleep(SHORT / 4).await;
    agent.write_all(b"GET").await.unwrap();
    check_silence(until_closed(&mut agent).await, SHORT);
    server.expect_closed(Closed::HeadTimeout, 1).await;
}

#[test]
fn no_configuration_grants_more_than_two_minutes_of_idling() {
    let limits = ConnLimits { idle_verified: Duration::from_secs(3600), ..ConnLimits::default() };
    assert_eq!(limits.idle(true), IDLE_VERIFIED_MAX);
    assert_eq!(ConnLimits::default().idle(true), Duration::from_secs(90));
    assert_eq!(ConnLimits::default().idle(false), Duration::from_secs(5));
}

#[test]
fn the_maps_forget_who_left() {
    let budgets = Arc::new(Budgets::new(&patient(), Arc::default()));
    let peer = |n: u16| SocketAddr::new(format!("2001:db8:{n:x}::1").parse().unwrap(), 1);
    let places: Vec<_> = (0..100).map(|n| budgets.admit(peer(n).ip()).unwrap()).collect();
    assert_eq!(budgets.map_sizes(), (100, 0));
    for (n, place) in (0..).zip(&places) {
        ConnHandle::new(peer(n), place.seat()).mark_verified(&n.to_string()).unwrap();
    }
    assert_eq!(budgets.map_sizes(), (0, 100));
    drop(places);
    assert_eq!(budgets.map_sizes(), (0, 0));
}

#[test]
fn one_network_is_one_source() {
    let limits = ConnLimits { per_source_max: 1, ..patient() };
    let budgets = Arc::new(Budgets::new(&limits, Arc::default()));
    let mut places = Vec::new();
    let mut check = |peer: &str, admitted: bool| {
        let place = budgets.admit(peer.parse().unwrap());
        assert_eq!(place.is_ok(), admitted, "{peer}");
        places.extend(place);
    };
    check("2001:db8::1", true);
    check("2001:db8::2", false);
    check("2001:db8::1:0:0:1", false);
    check("2001:db8:0:1::1", true);
    check("192.0.2.1", true);
    check("::ffff:192.0.2.1", false);
    check("192.0.2.2", true);
}

/// A handle kept by a handler's task must neither hold a place nor take one.
#[test]
fn a_handle_is_harmless_after_its_connection() {
    let telemetry = Arc::new(NetTelemetry::default());
    let budgets = Arc::new(Budgets::new(&patient(), Arc::clone(&telemetry)));
    let peer: SocketAddr = "192.0.2.1:1".parse().unwrap();
    let place = budgets.admit(peer.ip()).unwrap();
    let handle = ConnHandle::new(peer, place.seat());
    drop(place);
    assert_eq!(handle.mark_verified("a"), Ok(()));
    assert_eq!(ConnHandle::detached(peer).mark_verified("a"), Ok(()));
    assert_eq!(budgets.map_sizes(), (0, 0));
    assert!(telemetry.samples().all(|(_, _, value)| value == 0));
}

#[test]
fn every_reason_has_its_own_counter_and_label() {
    let telemetry = NetTelemetry::default();
    for (count, why) in (1..).zip(Closed::ALL) {
        (0..count).for_each(|_| telemetry.count_closed(why));
    }
    for (count, why) in (1..).zip(Closed::ALL) {
        let samples = telemetry.samples().filter(|(_, label, _)| *label == why.label());
        assert_eq!(samples.collect::<Vec<_>>(), [("connections_closed_total", why.label(), count)]);
    }
}

#[tokio::test]
async fn a_source_that_was_verified_before_gets_in_beside_idlers_of_its_address() {
    let server = start(ConnLimits { per_source_max: 2, per_known_source_max: 4, ..patient() });
    let mut agent = server.connect().await;
    assert_eq!(ask(&mut agent, &get_path("/verify/a")).await.0, 200);
    let _idlers = (server.connect().await, server.connect().await);
    is_served(&mut server.connect().await).await;
    drop(agent);
    is_served(&mut server.connect().await).await;
    let mut strangers = (server.connect_from([127, 0, 0, 2]).await, server.connect_from([127, 0, 0, 2]).await);
    is_served(&mut strangers.0).await;
    is_served(&mut strangers.1).await;
    is_refused(&mut server.connect_from([127, 0, 0, 2]).await).await;
}
