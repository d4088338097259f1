-- Logins that are under way: a browser on its way to an issuer and back, a sign-in, a login code, a device login. `key` is an
-- HMAC of what the client holds; `value` is encrypted and bound to the other columns; `source` is an HMAC of an address.
CREATE TABLE pending (
    kind    TEXT NOT NULL,
    key     BLOB NOT NULL,
    source  BLOB NOT NULL,
    expires INTEGER NOT NULL,
    value   BLOB NOT NULL,
    PRIMARY KEY (kind, key)
) STRICT;

CREATE INDEX pending_of_one_source ON pending (kind, source);
CREATE INDEX pending_by_end ON pending (expires);
