//! Whose password alone does not do: told where to go, and let in by the page and by the helper.

use super::account::{Account, DOCKER, dockers};
use super::house::{House, SERVICE};
use super::journeys::username;
use super::page::SignInPage;
use crate::labs::oidc::{Issuer, MFA};

pub async fn who_has_a_second_factor_signs_in_by_page_and_helper<O: Issuer>(house: &House<O>) {
    house.op.require_second_factor(&MFA).await;
    let page = house.bridge.url("/login");
    let told = if O::TELLS_SECOND_FACTOR {
        format!("unauthorized: a password is not enough for this account: open {page}, then run the docker login that it shows\n")
    } else {
        // An issuer that answers as to a wrong password leaves nothing else to say.
        format!("unauthorized: invalid username or password; where a password is not enough, open {page}\n")
    };
    for docker in dockers() {
        let (account, host) = (Account::new(house), house.registry.host());
        let login = ["login", "--username", MFA.name, "--password-stdin", &host];
        account.lab.run_other(docker, &login, MFA.password.as_bytes()).await.refused(&[&told]);
    }
    let page = SignInPage::signed_in(&house.bridge, &house.op, &MFA).await;
    let (name, code, client) = (username(&page.open().await), page.code(SERVICE).await, house.docker.client());
    client.login(&house.registry.host(), &name, &code).await.ok().says(&["Login Succeeded"]);
    house.push(&client, "dev/by-page:1").await.ok();
    let account = Account::signed_in(house, &MFA).await;
    account.push(DOCKER, "dev/by-helper:1").await.ok();
}
