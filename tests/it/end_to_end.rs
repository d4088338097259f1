//! Real clients log in, push, pull and delete at real registries that trust a real bridge, over every kind of provider.

pub mod lab;
mod quickstart;
mod restart;
mod scenarios;

/// Every scenario as a test over the lab that `$lab` answers: one list for all providers.
macro_rules! every_scenario {
    ($lab:path) => {
        every_scenario! { $lab;
            right_password_logs_in_and_leaves_no_password_behind,
            wrong_password_and_unknown_user_read_alike,
            team_pushes_and_pulls_in_its_namespace,
            person_pushes_and_pulls_in_the_own_namespace,
            push_elsewhere_is_denied,
            layer_of_a_readable_repository_is_mounted,
            layer_of_an_unreadable_repository_is_uploaded,
            nobody_pulls_public_images_and_nothing_else,
            owner_deletes_in_the_own_namespace_alone,
            catalogue_is_for_auditors,
            token_of_one_registry_is_refused_by_the_other,
            revoked_identity_token_asks_to_log_in,
            podman_logs_in_and_pushes,
            containerd_pulls_with_a_password,
            another_library_verifies_the_token,
            disabled_account_gets_nothing_more,
            member_who_left_the_group_pushes_no_more,
            changed_password_ends_the_old_login,
        }
    };
    ($lab:path; $($scenario:ident),* $(,)?) => {
        $(
            #[tokio::test]
            async fn $scenario() {
                if let Some(lab) = $lab().await {
                    super::scenarios::$scenario(&lab).await;
                }
            }
        )*
    };
}

mod users_file {
    every_scenario!(super::lab::users_file);
}

mod directory {
    every_scenario!(super::lab::directory);
}
