-- What was answered to this key; nothing for a call without a key.
select fingerprint, status, body from answer where key = :key
