//! `PyJWT`, as a second opinion on our tokens.

use std::path::Path;
use std::process::{Command, Stdio};

use super::process::{self, Ran};

/// Checks the chain from the exported certificate to the leaf in `x5c`, then the token itself; prints its claims.
const SCRIPT: &str = r#"
import base64, datetime, json, sys
import jwt
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

asked = json.load(sys.stdin)
header = jwt.get_unverified_header(asked["token"])
authority = x509.load_pem_x509_certificate(asked["bundle"].encode())
chain = [x509.load_der_x509_certificate(base64.b64decode(link)) for link in header["x5c"]]
leaf = chain[0]
assert leaf.issuer == authority.subject, "the leaf names another issuer"
authority.public_key().verify(leaf.signature, leaf.tbs_certificate_bytes, ec.ECDSA(leaf.signature_hash_algorithm))
now = datetime.datetime.utcnow()
assert leaf.not_valid_before <= now <= leaf.not_valid_after, "the leaf is not valid now"
claims = jwt.decode(
    asked["token"],
    leaf.public_key(),
    algorithms=["ES256"],
    audience=asked["service"],
    issuer=asked["issuer"],
    options={"require": ["iss", "sub", "aud", "exp", "nbf", "iat", "jti"]},
)
print(json.dumps({"header": header, "claims": claims}))
"#;

/// A Python with `PyJWT` and cryptography, if this machine has one.
pub fn find() -> Option<&'static str> {
    let can = |python: &&str| {
        let mut command = Command::new(python);
        command.args(["-c", "import jwt, cryptography"]).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    // One on the `PATH` may lack what Debian's has.
    ["python3", "/usr/bin/python3"].into_iter().filter(|python| *python == "python3" || Path::new(python).exists()).find(can)
}

/// Lets `PyJWT` verify a token against what `keys export` gave.
pub async fn verify(python: &str, token: &str, bundle: &str, service: &str, issuer: &str) -> Ran {
    let asked = serde_json::json!({"token": token, "bundle": bundle, "service": service, "issuer": issuer});
    process::run(python, &["-W", "ignore", "-c", SCRIPT], &[], asked.to_string().as_bytes()).await
}
