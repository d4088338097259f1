//! People sign in at real OpenID Providers, and what real clients get at a real registry follows their groups there.

mod browser;
mod house;
mod journeys;
mod page;

/// Every journey as a test over the provider that `$op` starts: one list for all providers.
macro_rules! every_journey {
    ($op:path; $($journey:ident),* $(,)?) => {
        $(
            #[tokio::test]
            async fn $journey() {
                if let Some(house) = super::house::House::open($op().await).await {
                    super::journeys::$journey(&house).await;
                }
            }
        )*
    };
}

mod glewlwyd {
    use crate::glewlwyd::Glewlwyd;

    every_journey! { Glewlwyd::start;
        password_pushes_where_a_group_allows_it,
        page_and_code_end_in_a_push,
        code_is_good_for_one_login_of_its_owner_with_docker,
        second_factor_is_asked_for_on_the_page,
        member_who_left_the_group_pushes_no_more,
        ended_session_ends_the_login,
        removed_person_gets_nothing_more,
    }
}
