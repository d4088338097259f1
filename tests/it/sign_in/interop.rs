//! The journeys at Keycloak and Dex, which only `make interop` brings. Both take their time to start, so one house serves all journeys, one
//! after the other.

use super::house::{Beside, House};
use super::{credential_helper, in_band, journeys, second_factor};
use crate::dex::Dex;
use crate::keycloak::Keycloak;
use crate::labs::bridge::Site;
use crate::labs::oidc::{BOB, Issuer, PASSWORDS};

#[tokio::test]
async fn keycloak() {
    let Some(house) = House::open(Keycloak::start().await).await else { return };
    every_login(&house).await;
    second_factor::who_has_a_second_factor_signs_in_by_page_and_helper(&house).await;
    journeys::member_who_left_the_group_pushes_no_more(&house).await;
    house.op.set_groups(&BOB, &["dev"]).await;
    journeys::ended_session_ends_the_login(&house).await;
    journeys::removed_person_gets_nothing_more(&house).await;
}

/// Dex has neither second factors nor sessions that could be ended.
#[tokio::test]
async fn dex() {
    let site = Site::new();
    let op = Dex::start(&site.url("/oidc/corp/callback")).await;
    let Some(house) = House::open_beside(op, site, Beside { settings: PASSWORDS, ..Beside::default() }).await else { return };
    every_login(&house).await;
    journeys::member_who_left_the_group_pushes_no_more(&house).await;
    house.op.set_groups(&BOB, &["dev"]).await;
    journeys::removed_person_gets_nothing_more(&house).await;
}

/// By password, page and code, helper, and through docker itself.
async fn every_login<O: Issuer>(house: &House<O>) {
    journeys::password_pushes_where_a_group_allows_it(house).await;
    journeys::page_and_code_end_in_a_push(house).await;
    journeys::code_is_good_for_one_login_of_its_owner_with_docker(house).await;
    house.bridge.site().command(&["tokens", "revoke", "--user", BOB.name]).await.ok();
    credential_helper::one_sign_in_serves_every_client(house).await;
    in_band::docker_carries_a_device_login(house).await;
}
