//! People sign in at real OpenID Providers, and what real clients get at a real registry follows their groups there.

mod account;
mod browser;
mod credential_helper;
mod house;
mod in_band;
mod interop;
mod journeys;
mod one_realm;
mod page;
mod second_factor;

/// Journeys as tests over the provider that `$op` starts.
macro_rules! journeys {
    ($op:path; $($of:ident: [$($journey:ident),* $(,)?])*) => {
        $($(
            #[tokio::test]
            async fn $journey() {
                if let Some(house) = super::house::House::open($op().await).await {
                    super::$of::$journey(&house).await;
                }
            }
        )*)*
    };
}

/// Every journey: one list for all providers.
macro_rules! every_journey {
    ($op:path) => {
        journeys! { $op;
            journeys: [
                password_pushes_where_a_group_allows_it,
                page_and_code_end_in_a_push,
                code_is_good_for_one_login_of_its_owner_with_docker,
                member_who_left_the_group_pushes_no_more,
                ended_session_ends_the_login,
                removed_person_gets_nothing_more,
            ]
            credential_helper: [
                one_sign_in_serves_every_client,
                revoked_login_says_so_and_a_new_one_works,
                helpers_login_follows_group_and_session,
                helper_needs_no_terminal_and_trusts_no_other_host,
            ]
            in_band: [
                docker_carries_a_device_login,
                who_reads_the_text_gets_nothing,
                other_clients_and_places_use_up_no_device_login,
            ]
            second_factor: [
                who_has_a_second_factor_signs_in_by_page_and_helper,
            ]
        }
    };
}

mod glewlwyd {
    use crate::glewlwyd::Glewlwyd;

    every_journey! { Glewlwyd::start }
}

/// It tells what Glewlwyd keeps to itself: that a password is right and does not do.
mod openid_provider {
    use crate::openid_provider::OpenidProvider;

    journeys! { OpenidProvider::start;
        credential_helper: [helpers_login_follows_group_and_session]
        second_factor: [who_has_a_second_factor_signs_in_by_page_and_helper]
    }
}
