-- An action is known by its key, and by its saga and step should it come under another key.
select action_key from undone_action where action_key in (:key, :action_key) limit 1
