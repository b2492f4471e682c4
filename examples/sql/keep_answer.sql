-- A plain insert: a key is answered once, and a second answer would be a bug worth an error.
insert into answer (key, fingerprint, status, body) values (:key, :fingerprint, :status, :body)
