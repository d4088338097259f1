-- Values that narrows remembers for itself: the fingerprints of the keys that registries trust, the last good rules.
CREATE TABLE sealed_values (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL,
    seal  BLOB NOT NULL
) STRICT;

-- Identity tokens. `seal` is an HMAC over every other column: a row written or altered by hand is refused.
CREATE TABLE identity_tokens (
    id          TEXT NOT NULL PRIMARY KEY,
    token_hash  BLOB NOT NULL UNIQUE,
    provider    TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    realm       TEXT NOT NULL,
    subject     TEXT NOT NULL,
    username    TEXT NOT NULL,
    kind        TEXT NOT NULL,
    groups      TEXT NOT NULL,
    marker      TEXT,
    recheck     TEXT NOT NULL,
    renewal     BLOB,
    service     TEXT NOT NULL,
    proven      INTEGER NOT NULL,
    created     INTEGER NOT NULL,
    looked      INTEGER NOT NULL,
    used        INTEGER NOT NULL,
    ended       INTEGER,
    reason      TEXT,
    seal        BLOB NOT NULL
) STRICT;

CREATE INDEX identity_tokens_of_one_identity ON identity_tokens (provider, subject, service, used) WHERE ended IS NULL;
