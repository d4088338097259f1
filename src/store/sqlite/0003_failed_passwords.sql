-- The passwords that failed, as a short keyed digest of each; sealed with the rest of the row.
ALTER TABLE failed_binds ADD COLUMN passwords BLOB NOT NULL DEFAULT x'';
