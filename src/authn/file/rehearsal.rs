//! A login of somebody of the file, step by step.

use secrecy::SecretString;

use super::Users;
use crate::authn::attempt::Attempt;
use crate::authn::rehearsal::{End, Outcome, Rehearsal, Step};
use crate::authn::verdict::{Circumstances, Verdict};

impl Users {
    /// What would come of a login; without a password as far as that can be told.
    pub(in crate::authn) async fn rehearse(
        &self,
        typed: &str,
        password: Option<&SecretString>,
        circumstances: &Circumstances,
    ) -> Rehearsal {
        let Some(found) = self.look_up(typed) else {
            let step = Step::new("user", Outcome::Note, format!("`{}` has nobody of this name", self.path.display()));
            return Rehearsal { steps: vec![step], end: End::NotMine };
        };
        let mut steps = vec![Step::good("user", format!("`{}`; nobody behind this file is asked", found.username))];
        if let Some(rejection) = self.find(typed).and_then(|user| user.judge(self.clock.now()).err()) {
            let wrong = Step::new("account", Outcome::Wrong, rejection.as_str());
            steps.push(wrong.advice("set it right in the users file, where that is what you want"));
            return Rehearsal { steps, end: End::Refused(rejection.as_str().to_owned()) };
        }
        let Some(password) = password else {
            steps.push(Step::new("password", Outcome::Note, "none was given").advice("`--password` asks for one"));
            return Rehearsal { steps, end: End::LetIn(Box::new(found)) };
        };
        let end = match self.verify(typed, password, circumstances, &Attempt::default()).await {
            Ok(Verdict::Authenticated(identity, _)) => End::LetIn(Box::new(identity)),
            Ok(Verdict::Rejected(rejection)) => End::Refused(rejection.as_str().to_owned()),
            Ok(Verdict::Throttled(_)) => End::Refused("throttled".to_owned()),
            Ok(Verdict::NotMine) => End::NotMine,
            Err(unavailable) => End::Unavailable(unavailable.reason),
        };
        steps.push(match &end {
            End::LetIn(_) => Step::good("password", "it is right"),
            End::NotMine => Step::new("password", Outcome::Wrong, "nobody"),
            End::Refused(why) => Step::new("password", Outcome::Wrong, why),
            End::Unavailable(why) => Step::new("password", Outcome::Failed, why),
        });
        Rehearsal { steps, end }
    }
}
