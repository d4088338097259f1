-- Failed binds of an account. `account` is an HMAC, so that the file names nobody; `seal` is an HMAC over the other columns.
CREATE TABLE failed_binds (
    account  BLOB NOT NULL PRIMARY KEY,
    known    INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    last     INTEGER NOT NULL,
    seal     BLOB NOT NULL
) STRICT;

-- Sources that logged in to an account, both within one HMAC.
CREATE TABLE known_sources (
    pair BLOB NOT NULL PRIMARY KEY,
    last INTEGER NOT NULL,
    seal BLOB NOT NULL
) STRICT;
